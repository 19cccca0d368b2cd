"""The rule for the rows that measures of quadratic cost use."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.represent.measures import REGISTRY, Pair, Representation
from stillhouse.represent.measures.rows import rows_used, shares


def test_all_rows_up_to_a_thousand() -> None:
    labels = np.arange(1000) % 7
    np.testing.assert_array_equal(rows_used(labels, 1000), np.arange(1000))


def test_each_class_by_equal_steps() -> None:
    """Of 5,000 and 2,500 rows, shares 667 and 333: row floor(i n_c / t) of each class."""
    labels = np.repeat([0, 1], [5000, 2500])
    found = rows_used(labels, 7500)
    first = [i * 5000 // 667 for i in range(667)]
    second = [5000 + i * 2500 // 333 for i in range(333)]
    assert found.tolist() == first + second


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=30), st.integers(1, 1000))
def test_shares_are_proportional_by_largest_remainder(counts: list[int], total: int) -> None:
    numbers = np.array(counts)
    if numbers.sum() == 0:
        return
    found = shares(numbers, total)
    exact = numbers * total / numbers.sum()
    assert found.sum() == total
    assert (np.abs(found - exact) < 1).all()
    up = exact - np.floor(exact)
    raised = found > np.floor(exact + 1e-9)
    if raised.any() and not raised.all():
        assert up[raised].min() >= up[~raised].max() - 1e-9


@given(st.integers(1001, 4000), st.integers(1, 40))
def test_rows_are_distinct_and_rising(rows: int, classes: int) -> None:
    found = rows_used(np.random.default_rng(rows).integers(classes, size=rows), rows)
    assert len(found) == 1000
    assert (np.diff(found) > 0).all()


def test_values_say_how_many_rows_they_used() -> None:
    x, labels = np.random.default_rng(1).normal(size=(1500, 4)), np.arange(1500) % 10
    pair = Pair(Representation(x, labels), Representation(x + 1, labels))
    for name in ("rsa", "rsa_within_class", "mutual_knn", "rbf_cka"):
        assert {value.details["rows"] for value in REGISTRY[name](pair)} == {1000}


def test_rows_are_taken_in_the_order_of_ids() -> None:
    rng = np.random.default_rng(1)
    x, labels, ids = rng.normal(size=(1500, 4)), rng.integers(10, size=1500), np.arange(1500)
    order = rng.permutation(1500)
    shuffled = Representation(x[order], labels[order], ids[order])
    np.testing.assert_array_equal(shuffled.x, x)
    straight = Representation(x, labels, ids)
    np.testing.assert_array_equal(shuffled.geometry.ranks, straight.geometry.ranks)
