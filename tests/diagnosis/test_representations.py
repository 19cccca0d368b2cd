"""Rules on what was transferred, on made tables of `analyze`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations.rules import observe
from stillhouse.errors import RunError

SEEDS = (0, 1, 2)
RULES = ("aligned-not-better", "alignment-generic", "copied-errors")
ACCURACIES = {
    TEACHER: (95.0, 95.3, 95.6),
    PURE: (90.0, 90.3, 90.6),
    LOGIT: (93.0, 93.3, 93.7),
    RKD: (90.1, 90.2, 90.8),
}
Rows = dict[tuple[str, str, str, str], tuple[float, float, float]]
CLOSER: Rows = {
    (arm, "layer3", "linear_cka", quantity): (value, value - 0.02, value + 0.02)
    for arm in ("Logit KD", "RKD")
    for quantity, value in (("excess", 0.10), ("specificity", 0.08))
}


@pytest.fixture
def finished(tmp_path: Path) -> Bench:
    """Logit KD is better than pure, RKD is not shown to be."""
    bench = Bench(tmp_path, seeds=[*SEEDS])
    for path, values in ACCURACIES.items():
        for seed, accuracy in zip(SEEDS, values, strict=True):
            bench.finish(f"{path}/{seed}", accuracy)
    return bench


def found(bench: Bench, rows: Rows, **more: Any) -> dict[str, Finding]:
    tables = bench.workspace.root / "tables"
    tables.mkdir(exist_ok=True)
    names = ("arm", "layer", "measure", "quantity")
    table = [
        {
            "dataset": "Digits",
            **dict(zip(names, key, strict=True)),
            "n": 3,
            **dict(zip(("value", "low", "high"), values, strict=True)),
            "sd": 0.01,
            "p": 0.01,
            "why": None,
            **more,
        }
        for key, values in rows.items()
    ]
    pd.DataFrame(table).to_csv(tables / "transfer.csv", index=False)
    return {one.code: one for one in observe(bench.look(), tables=tables) if one.code in RULES}


def test_without_tables_nothing_is_said(finished: Bench) -> None:
    survey = finished.look()
    for tables in (None, finished.workspace.root / "gone"):
        assert not {one.code for one in observe(survey, tables=tables)} & set(RULES)


def test_closer_and_not_better_is_named_with_both_numbers(finished: Bench) -> None:
    rules = found(finished, CLOSER)
    assert set(rules) == {"aligned-not-better"}
    (part,) = rules["aligned-not-better"].parts
    assert part.startswith("RKD +0.100 [+0.080, +0.120], accuracy +0.07 [") and "(n = 3)" in part
    assert rules["aligned-not-better"].runs == tuple(f"{RKD}/{seed}" for seed in SEEDS)


def test_not_closer_is_not_named(finished: Bench) -> None:
    for low in (0.0, -0.01):
        open_ = dict.fromkeys(CLOSER, (0.1, low, 0.2))
        assert found(finished, open_) == {}


def test_only_the_last_layer_counts(finished: Bench) -> None:
    """Layer 10 comes after layer 9, whatever their order in the table."""
    for first, last in (("layer1", "layer3"), ("layer9", "layer10")):
        near = {(arm, first, *rest): values for (arm, _, *rest), values in CLOSER.items()}
        far = {(arm, last, *rest): (0.0, -0.1, 0.1) for (arm, _, *rest) in CLOSER}
        assert found(finished, {**far, **near}) == {}  # type: ignore[dict-item]


@pytest.mark.parametrize(
    ("specificity", "generic"),
    [
        ((0.01, -0.02, 0.04), True),
        ((0.06, -0.02, 0.14), False),  # may well be of this teacher
        ((0.04, 0.01, 0.07), False),  # shown to be of this teacher
        ((0.0, 0.0, 0.0), False),  # no spread to judge by
    ],
)
def test_as_close_to_other_teachers(
    finished: Bench, specificity: tuple[float, float, float], generic: bool
) -> None:
    rows = CLOSER | {("RKD", "layer3", "linear_cka", "specificity"): specificity}
    rules = found(finished, rows)
    assert ("alignment-generic" in rules) is generic
    if generic:
        (part,) = rules["alignment-generic"].parts
        assert "RKD +0.100" in part and "specificity +0.010 [-0.020, +0.040]" in part


@pytest.mark.parametrize(("low", "copied"), [(2.0, True), (-2.0, False)])
def test_copied_errors(finished: Bench, low: float, copied: bool) -> None:
    key = ("Logit KD", "logits", "agreement_on_errors")
    rows = {(*key, "excess"): (6.0, low, 10.0), (*key, "specificity"): (5.0, 1.0, 9.0)}
    rules = found(finished, rows)
    assert ("copied-errors" in rules) is copied
    if copied:
        (part,) = rules["copied-errors"].parts
        assert part == "Logit KD +6.0 [+2.0, +10.0], of its own teacher (n = 3)"


def test_one_seed_says_nothing(finished: Bench) -> None:
    assert found(finished, CLOSER, n=1, low=None, high=None) == {}


def test_methods_that_are_not_in_the_round_any_more_are_left_out(finished: Bench) -> None:
    renamed = {(f"Old {arm}", *rest): values for (arm, *rest), values in CLOSER.items()}
    assert found(finished, renamed) == {}  # type: ignore[arg-type]


def test_a_damaged_table_is_named(finished: Bench) -> None:
    found(finished, CLOSER)
    file = finished.workspace.root / "tables" / "transfer.csv"
    file.write_text("dataset,arm\nDigits,RKD\n")
    with pytest.raises(RunError, match=r"transfer\.csv"):
        observe(finished.look(), tables=file.parent)
