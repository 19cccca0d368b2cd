"""Inputs for which there is no value: a reason in the cell, or an error that names the fault."""

from __future__ import annotations

import numpy as np
import pytest

from represent.measures.made import classes_of, network, normal
from stillhouse.errors import DataError
from stillhouse.represent.measures import (
    REGISTRY,
    Measure,
    Pair,
    Predictions,
    Representation,
    Value,
    of_kind,
)


def all_values(*inputs: Representation | Pair | Predictions) -> dict[str, list[Value]]:
    kinds = {Representation: "representation", Pair: "pair", Predictions: "predictions"}
    return {
        measure.name: measure(given)
        for given in inputs
        for measure in REGISTRY.values()
        if measure.kind == kinds[type(given)] and measure.name != "ica_matching"
    }


def features(x: np.ndarray, labels: np.ndarray | None = None) -> Representation:
    return Representation(x, labels, bank=(x, classes_of(len(x))))


def check_each_is_finite_or_has_a_reason(found: dict[str, list[Value]]) -> set[str]:
    """Return the names of measures without a value."""
    missing = set()
    for name, values in found.items():
        assert values, name
        for value in values:
            assert (value.value is None) == bool(value.why), name
            assert value.value is None or np.isfinite(value.value), name
            if value.value is None:
                missing.add(name)
    return missing


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_features_that_are_not_finite(bad: float) -> None:
    x, y = network(1, 100), network(2, 100)
    x[3, 2] = bad
    labels = classes_of(100)
    broken = features(x, labels)
    logits = Predictions(np.column_stack([x, x[:, :2]]), labels, teacher=np.zeros((100, 10)))
    found = all_values(broken, Pair(broken, features(y, labels)), logits)
    assert check_each_is_finite_or_has_a_reason(found) == set(found)
    assert all("1 of 100 rows" in value.why for values in found.values() for value in values)


def test_one_class() -> None:
    x, labels = network(1, 100), np.zeros(100, dtype=int)
    found = all_values(features(x, labels), Pair(features(x, labels), features(x, labels)))
    missing = check_each_is_finite_or_has_a_reason(found)
    needing = {m.name for m in REGISTRY.values() if "labels" in m.needs}
    assert missing == needing
    assert {found[name][0].why for name in needing} == {"all rows have the same class"}


def test_without_labels() -> None:
    x = Representation(network(1, 100))
    missing = check_each_is_finite_or_has_a_reason(all_values(x, Pair(x, x)))
    assert missing == {m.name for m in REGISTRY.values() if "labels" in m.needs}


def test_channels_without_variance_change_nothing() -> None:
    x, y, labels = network(1, 200), network(2, 200), classes_of(200)
    dead = np.column_stack([x, np.full(200, 3.1), np.zeros(200)])
    before = all_values(features(x, labels), Pair(features(x, labels), features(y, labels)))
    after = all_values(features(dead, labels), Pair(features(dead, labels), features(y, labels)))
    assert check_each_is_finite_or_has_a_reason(after) == set()
    # D of the ridge counts idle channels, and cosines see the constant one.
    for name in set(before) - {"linear_r2_ab", "linear_r2_ba", "knn_probe"}:
        assert [v.value for v in after[name]] == pytest.approx([v.value for v in before[name]])


def test_no_channel_varies() -> None:
    constant, labels = features(np.full((50, 4), 0.1), classes_of(50)), classes_of(50)
    found = all_values(constant, Pair(features(network(1, 50), labels), constant))
    assert check_each_is_finite_or_has_a_reason(found) == set(found)
    assert all("varies" in value.why for values in found.values() for value in values)


def test_fewer_rows_than_features() -> None:
    x, y, labels = normal(1, 30, 100), normal(2, 30, 100), classes_of(30)
    pair = Pair(features(x, labels), features(y, labels))
    found = all_values(features(x, labels), pair)
    assert check_each_is_finite_or_has_a_reason(found) == {"cca_mean"}
    assert "forced" in found["cca_mean"][0].why


def test_duplicated_rows() -> None:
    x = np.repeat(network(1, 60), 2, axis=0)
    labels = np.repeat(classes_of(60), 2)
    found = all_values(features(x, labels), Pair(features(x, labels), features(x, labels)))
    missing = check_each_is_finite_or_has_a_reason(found)
    assert missing == {"twonn"}
    assert "duplicate" in found["twonn"][0].why


def test_a_row_with_a_duplicate_is_dropped_from_twonn() -> None:
    x = normal(1, 500, 4)
    with_one = np.vstack([x, x[:1]])
    first, second = (
        REGISTRY["twonn"](Representation(x)),
        REGISTRY["twonn"](Representation(with_one)),
    )
    assert first[0].value == pytest.approx(second[0].value, rel=0.02)


def test_a_class_whose_rows_are_equal() -> None:
    labels = classes_of(100)
    x = network(1, 100)
    x[labels == 3] = 1.0
    found = REGISTRY["rsa_within_class"](Pair(features(x, labels), features(x, labels)))
    assert found[0].value is None
    assert "class 3" in found[0].why


def test_collapsed_classes_have_no_spread() -> None:
    labels = classes_of(100)
    x = np.eye(10)[labels]
    found = all_values(features(x, labels))
    assert "spread" in found["fisher_ratio"][0].why
    assert found["nc1"][0].value == pytest.approx(0)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_hardly_any_rows(rows: int) -> None:
    x = features(normal(1, rows), classes_of(rows))
    found = all_values(x, Pair(x, x))
    assert check_each_is_finite_or_has_a_reason(found) == set(found)


@pytest.mark.parametrize("rows", [4, 5, 9, 11, 19, 21])
def test_few_rows(rows: int) -> None:
    x, y = normal(1, rows, 3), normal(2, rows, 3)
    labels = classes_of(rows, 2)
    found = all_values(features(x, labels), Pair(features(x, labels), features(y, labels)))
    check_each_is_finite_or_has_a_reason(found)


def test_missing_teacher_pure_and_training_rows() -> None:
    labels = classes_of(100)
    found = all_values(Predictions(normal(1, 100, 10), labels))
    missing = check_each_is_finite_or_has_a_reason(found)
    assert missing == {m.name for m in of_kind("predictions") if m.needs}
    for name in missing:
        assert found[name][0].why.startswith("there are no")


def test_predictions_without_an_error() -> None:
    labels = classes_of(100)
    perfect = 50 * np.eye(10)[labels]
    given = Predictions(perfect, labels, (perfect, labels), teacher=perfect, pure=perfect)
    found = all_values(given)
    missing = check_each_is_finite_or_has_a_reason(found)
    assert missing == {"agreement_on_errors", "ece_tempered"}
    assert found["agreement_on_errors"][0].why == "the teacher makes no error"
    assert "temperature" in found["ece_tempered"][0].why


def test_huge_logits_overflow_nothing() -> None:
    labels = classes_of(100)
    huge = 1e30 * normal(1, 100, 10)
    given = Predictions(huge, labels, (huge, labels), teacher=-huge, pure=huge)
    check_each_is_finite_or_has_a_reason(all_values(given))


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_tiny_and_huge_features(scale: float) -> None:
    x, y, labels = network(1, 100), network(2, 100), classes_of(100)
    normal_size = all_values(features(x, labels), Pair(features(x, labels), features(y, labels)))
    scaled = features(scale * x, labels)
    found = all_values(scaled, Pair(scaled, features(y, labels)))
    for name, values in normal_size.items():
        expected = [value.value for value in values]
        assert [value.value for value in found[name]] == pytest.approx(expected, rel=1e-6), name


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Representation(np.zeros((3, 4, 5)), name="layer2"), "layer2"),
        (lambda: Representation(np.zeros(3), name="layer2"), "layer2"),
        (lambda: Representation(np.array([["a"]]), name="layer2"), "layer2"),
        (lambda: Representation(normal(1, 9), classes_of(8), name="layer2"), "labels"),
        (lambda: Representation(normal(1, 9), normal(1, 9)[:, 0], name="layer2"), "labels"),
        (lambda: Representation(normal(1, 9), ids=np.zeros(9, int), name="layer2"), "id"),
        (
            lambda: Representation(normal(1, 9), bank=(normal(1, 9, 3), classes_of(9))),
            "training rows",
        ),
        (lambda: Pair(Representation(normal(1, 9)), Representation(normal(1, 8))), "rows"),
        (
            lambda: Pair(
                Representation(normal(1, 9), classes_of(9)),
                Representation(normal(1, 9), classes_of(9) + 1),
            ),
            "labels",
        ),
        (lambda: Predictions(normal(1, 9, 3), np.full(9, 3)), "classes"),
        (lambda: Predictions(normal(1, 9, 3), np.zeros(9, int), teacher=normal(1, 9, 4)), "shape"),
    ],
)
def test_inputs_that_do_not_fit(make: object, names: str) -> None:
    with pytest.raises(DataError, match=names) as caught:
        make()  # type: ignore[operator]
    assert caught.value.hint


def test_a_value_that_is_not_finite_enters_no_table() -> None:
    fields = {f: getattr(REGISTRY["nll"], f) for f in Measure.__dataclass_fields__}
    broken = Measure(**{**fields, "compute": lambda given: float("nan")})
    found = broken(Predictions(normal(1, 9, 3), np.zeros(9, int)))
    assert found == [Value(None, {}, "the value is not finite")]
