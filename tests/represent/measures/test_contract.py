"""What every measure keeps: one row of `cases.py` each."""

from __future__ import annotations

import numpy as np
import pytest

from represent.measures.cases import CASES, MeasureCase
from represent.measures.made import Floats, given, logits, network, normal, skewed, values
from stillhouse.represent.measures import REGISTRY, Measure, of_kind

NAMES = """
linear_cka rbf_cka procrustes cca_mean svcca linear_r2_ab linear_r2_ba mutual_knn rsa
rsa_within_class participation_ratio effective_rank pca_90 pca_95 twonn fisher_ratio nc1
linear_probe knn_probe ica_matching agreement agreement_excess agreement_on_errors kl_t1 kl_t4
flips nll brier ece ece_tempered
"""
each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def ordinary(measure: Measure, seed: int) -> Floats:
    """An input of 300 rows for which the measure has a value."""
    make = logits if measure.kind == "predictions" else network
    return (skewed if measure.name == "ica_matching" else make)(seed, 300)


def test_the_table_has_one_row_for_every_measure() -> None:
    assert [case.name for case in CASES if case.name not in REGISTRY] == []
    assert sorted(case.name for case in CASES) == sorted(REGISTRY)


def test_the_names_are_those_of_the_tables() -> None:
    assert set(REGISTRY) == {*NAMES.split()}


def test_two_measures_are_outside_the_default_set() -> None:
    default = {
        measure.name
        for kind in ("pair", "representation", "predictions")
        for measure in of_kind(kind)
    }
    assert set(REGISTRY) - default == {"rbf_cka", "ica_matching"}


def test_a_similarity_declares_what_equal_inputs_give() -> None:
    for case in CASES:
        measure = REGISTRY[case.name]
        compares = measure.direction in ("similarity", "distance")
        assert compares or case.same is None, case.name


@each
def test_declarations_are_whole(case: MeasureCase) -> None:
    measure = REGISTRY[case.name]
    texts = ("definition", "floor", "ceiling", "pitfalls", "reading", "citation", "cost")
    assert [name for name in texts if not getattr(measure, name).strip()] == []
    assert measure.invariances


@each
def test_values_have_the_declared_columns_and_range(case: MeasureCase) -> None:
    measure = REGISTRY[case.name]
    low, high = measure.range
    for value in measure(given(measure, *(ordinary(measure, seed) for seed in (1, 2, 3)))):
        assert value.why == "" and value.value is not None
        assert tuple(value.details) == measure.details
        assert low is None or value.value >= low - 1e-12
        assert high is None or value.value <= high + 1e-12


@each
def test_equal_inputs(case: MeasureCase) -> None:
    if case.same is None:
        return
    measure, x = REGISTRY[case.name], skewed(1, 400, 10)
    tolerance = 1e-3 if case.name.startswith("linear_r2") else 1e-9  # the ridge shrinks a little
    np.testing.assert_allclose(values(measure, x, x), case.same, atol=tolerance)


@each
def test_independent_inputs_give_the_null(case: MeasureCase) -> None:
    measure = REGISTRY[case.name]
    make = skewed if case.name == "ica_matching" else normal
    x, y, bank = (make(seed, 4000, 10) for seed in (1, 2, 3))
    if measure.kind != "predictions":
        x, y, bank = x[:, :8], y[:, :8], bank[:, :8]
    if case.independent is None:
        assert measure(given(measure, x, y, bank))[0].why
        return
    low, high = case.independent
    for value in values(measure, x, y, bank=bank):
        assert low <= value <= high, value


@each
def test_rises_with_the_shared_variance(case: MeasureCase) -> None:
    """Y = sqrt(r) X Q + sqrt(1 - r) noise, r the known share of variance."""
    if case.rises is None:
        return
    measure = REGISTRY[case.name]
    x, noise = normal(1, 1500, 10), normal(2, 1500, 10)
    shares = np.linspace(0, 1, 6)
    found = np.array([values(measure, x, np.sqrt(r) * x + np.sqrt(1 - r) * noise) for r in shares])
    steps = np.diff(found, axis=0)
    assert (steps > 0).all() if case.rises else (steps < 0).all(), found


def test_a_measure_returns_equal_values_twice() -> None:
    def twice(measure: Measure) -> tuple[list[float], list[float]]:
        x, y = ordinary(measure, 1), ordinary(measure, 2)
        return values(measure, x, y), values(measure, x, y)

    for name in set(REGISTRY) - {"ica_matching"}:
        first, second = twice(REGISTRY[name])
        assert first == second, name
