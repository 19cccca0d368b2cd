"""The three totals, and the published weights they start from."""

from __future__ import annotations

import pytest

from stillhouse import methods
from stillhouse.errors import ConfigError
from stillhouse.methods.base import Reference
from stillhouse.methods.objective import Total, coefficients, effective_ratio

PUBLISHED = [
    ("pure", {}, 1.0, {}),
    ("logit", {}, 0.1, {"kd": 0.9}),
    ("factor_transfer", {}, 1.0, {"factor": 500.0}),
    ("factor_transfer", {"variant": "crd"}, 1.0, {"factor": 200.0}),
    ("attention_transfer", {}, 1.0, {"at": 1000.0}),
    ("fitnets", {}, 1.0, {"hint": 100.0}),
    ("fitnets", {"variant": "two_stage"}, 1.0, {"hint": 1.0, "kd": 4.0}),
    ("rkd", {}, 1.0, {"distance": 25.0, "angle": 50.0}),
    ("nst", {}, 1.0, {"nst": 50.0}),
    ("logit", {"standardise": True}, 0.1, {"kd": 9.0}),
    ("dkd", {}, 1.0, {"tckd": 1.0, "nckd": 8.0}),
    ("dkd", {"standardise": True, "nckd_weight": 2.0}, 1.0, {"tckd": 9.0, "nckd": 18.0}),
    ("dist", {}, 1.0, {"inter": 2.0, "intra": 2.0}),
    ("ttm", {}, 1.0, {"ttm": 45.0}),
    ("wttm", {}, 1.0, {"wttm": 4.0}),
    ("sp", {}, 1.0, {"sp": 3000.0}),
    ("pkt", {}, 1.0, {"pkt": 30000.0}),
    ("cc", {}, 1.0, {"cc": 0.02}),
    ("vid", {}, 1.0, {"vid": 1.0}),
    ("srrl", {}, 1.0, {"feature": 1.0, "regression": 1.0}),
    ("srrl", {"variant": "simkd"}, 1.0, {"feature": 1.0, "regression": 1.0, "kd": 1.0}),
    ("simkd", {}, 0.0, {"match": 1.0}),
    ("reviewkd", {}, 1.0, {"review": 5.0}),
    ("crd", {}, 1.0, {"crd": 0.8}),
    ("ce_scaled", {}, 0.1, {}),
    ("label_smoothing", {}, 1.0, {}),
    ("self", {}, 0.1, {"kd": 0.9}),
    ("random_teacher", {}, 0.1, {"kd": 0.9}),
    ("shuffled_teacher", {}, 0.1, {"kd": 0.9}),
]


def reference(name: str, **options: object) -> Reference:
    method = methods.load(name)
    return method.reference(method.Config(**options))


@pytest.mark.parametrize(("name", "options", "ce", "weights"), PUBLISHED)
def test_published_totals(
    name: str, options: dict[str, str], ce: float, weights: dict[str, float]
) -> None:
    found = coefficients(reference(name, **options), "reference", None)
    assert found == {"ce": ce, **weights}


def test_every_method_has_a_published_total() -> None:
    assert {row[0] for row in PUBLISHED} == {*methods.names()}


@pytest.mark.parametrize(("name", "options", "ce", "weights"), [row for row in PUBLISHED if row[2]])
def test_convex_meets_the_published_ratio_at_its_own_alpha(
    name: str, options: dict[str, str], ce: float, weights: dict[str, float]
) -> None:
    published = reference(name, **options)
    assert published.alpha == (0.9 if ce == 0.1 and not options else 0.5)
    for total in ("convex", "additive"):
        ratio = effective_ratio(coefficients(published, total, None))
        assert ratio == pytest.approx({term: w / ce for term, w in weights.items()})


@pytest.mark.parametrize("alpha", [0.25, 0.5, 0.75])
def test_convex_weights_are_one_for_logit_and_the_published_for_the_others(alpha: float) -> None:
    assert coefficients(reference("logit"), "convex", alpha) == pytest.approx(
        {"ce": 1 - alpha, "kd": alpha}
    )
    assert coefficients(reference("attention_transfer"), "convex", alpha) == pytest.approx(
        {"ce": 1 - alpha, "at": 1000 * alpha}
    )
    assert coefficients(reference("rkd"), "convex", alpha) == pytest.approx(
        {"ce": 1 - alpha, "distance": 25 * alpha, "angle": 50 * alpha}
    )


@pytest.mark.parametrize(("alpha", "factor"), [(0.25, 1 / 3), (0.5, 1.0), (0.75, 3.0)])
def test_a_sweep_spans_a_third_to_three_times_the_published_ratio(
    alpha: float, factor: float
) -> None:
    convex = coefficients(reference("nst"), "convex", alpha)
    assert effective_ratio(convex) == pytest.approx({"nst": 50 * factor})
    additive = coefficients(reference("nst"), "additive", alpha)
    assert additive == pytest.approx({"ce": 1.0, "nst": 50 * factor})


@pytest.mark.parametrize("alpha", [-0.1, 1.0])
def test_alpha_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(ConfigError, match="expected 0 <= alpha < 1"):
        coefficients(reference("logit"), "convex", alpha)


def test_without_ce_the_ratio_is_infinite() -> None:
    assert effective_ratio({"ce": 0.0, "hint": 1.0}) == {"hint": float("inf")}


def test_own_weights_replace_the_published() -> None:
    assert reference("nst", weight=7.0).weights == {"nst": 7.0}
    assert reference("fitnets", variant="two_stage", weight=3.0).weights["hint"] == 3.0
    assert reference("factor_transfer", weight=3.0).weights == {"factor": 3.0}
    assert reference("rkd", angle_weight=1.0).weights == {"distance": 25.0, "angle": 1.0}


@pytest.mark.parametrize("total", ["convex", "additive"])
def test_a_total_without_cross_entropy_has_the_published_form_alone(total: Total) -> None:
    alone = Reference(ce=0.0, weights={"match": 1.0})
    assert coefficients(alone, "reference", None) == {"ce": 0.0, "match": 1.0}
    with pytest.raises(ConfigError, match=f"'{total}' keeps .*has no cross entropy\n.*reference"):
        coefficients(alone, total, 0.5)
