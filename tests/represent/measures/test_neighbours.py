"""Nearest rows chosen in float32 are those of float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.neighbors import NearestNeighbors

from stillhouse.represent.measures import neighbours
from stillhouse.represent.measures.geometry import average_ranks, nearest


def features(kind: str, rows: int) -> np.ndarray:
    rng = np.random.default_rng(rows)
    x = rng.normal(size=(rows, 12))
    if kind == "far from zero":
        return x + 1000
    if kind == "near duplicates":  # differences far below float32's resolution
        return np.repeat(x[: rows // 10], 10, axis=0) + 1e-9 * rng.normal(size=(rows, 12))
    if kind == "a grid":  # many equal distances
        return np.round(x)
    return x


KINDS = ["normal", "far from zero", "near duplicates", "a grid"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [30, 2000, 2210])
def test_two_nearest_are_exact(kind: str, rows: int) -> None:
    x = features(kind, rows)
    centred = x - x.mean(axis=0)  # the same rounding on both sides
    model = NearestNeighbors(n_neighbors=2, algorithm="kd_tree").fit(centred)
    np.testing.assert_allclose(neighbours.two_nearest(x), model.kneighbors()[0], rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rows", [30, 2000, 2210])
def test_most_similar_are_exact_and_ties_go_to_the_lower_row(kind: str, rows: int) -> None:
    bank, queries = features(kind, rows), features(kind, 300)
    found, cosines = neighbours.most_similar(queries, bank, 20)
    unit_bank, unit = (
        z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-300) for z in (bank, queries)
    )
    expected = (unit_bank @ unit[..., None])[..., 0]
    order = np.argsort(-expected, axis=1, kind="stable")[:, :20]
    np.testing.assert_allclose(cosines, np.take_along_axis(expected, order, axis=1), atol=1e-14)
    if kind == "normal":
        np.testing.assert_array_equal(found, order)


def test_rows_of_zeros_are_similar_to_nothing() -> None:
    bank = np.vstack([np.zeros((3, 4)), np.eye(4)])
    found, cosines = neighbours.most_similar(np.array([[0.0, 0, 0, 2]]), bank, 2)
    assert found[0, 0] == 6
    assert cosines[0].tolist() == [1, 0]


@pytest.mark.parametrize("columns", [50, 1600, 2003])
def test_largest_scores_and_their_bound(columns: int) -> None:
    scores = np.random.default_rng(1).normal(size=(40, columns)).astype(np.float32)
    found, bound = neighbours.largest(scores, 12)
    ordered = -np.sort(-scores, axis=1)
    chosen = -np.sort(-np.take_along_axis(scores, found, axis=1), axis=1)
    np.testing.assert_array_equal(chosen, ordered[:, :12])
    np.testing.assert_array_equal(bound, ordered[:, 12])


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.integers(-3, 3) | st.floats(-1e6, 1e6), min_size=1, max_size=60))
def test_ranks_are_those_of_scipy(numbers: list[float]) -> None:
    array = np.array(numbers, dtype=float)
    np.testing.assert_array_equal(average_ranks(array), rankdata(array))


def test_of_equal_distances_the_lower_row_is_nearer() -> None:
    distances = np.array([[np.inf, 1, 1, 1, 2], [5, np.inf, 4, 3, 1]], dtype=float)
    assert nearest(distances, 2).tolist() == [
        [False, True, True, False, False],
        [False, False, False, True, True],
    ]
