from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from scipy import stats

from stillhouse.stats.transfer import transfer_frame

OWN = {0: 0.9, 1: 0.8, 2: 0.85}
PURE = {0: 0.5, 1: 0.6, 2: 0.55}
OTHERS = {0: (0.7, 0.3), 1: (0.5, 0.7), 2: (0.65, 0.55)}


def run(method: str, model: str, seed: int, valid: bool = True) -> dict[str, Any]:
    return {
        "run": f"D/{method}/{model}/{seed}",
        "dataset": "D",
        "arm": method,
        "method": method,
        "student": model,
        "seed": seed,
        "state": "done" if valid else "at chance",
        "valid": valid,
    }


def pair(kind: str, a: str, b: str, value: float | None, **more: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "run_a": a,
        "run_b": b,
        "layer_a": "layer1",
        "measure": "linear_cka",
        "value": value,
        **more,
    }


def teacher(seed: int) -> str:
    return f"D/pure/big/{seed}"


def table(invalid: tuple[int, ...] = ()) -> pd.DataFrame:
    rows = [run("pure", "big", seed) for seed in OWN]
    rows += [run("pure", "small", seed) for seed in OWN]
    rows += [run("kd", "small", seed, seed not in invalid) for seed in OWN]
    return pd.DataFrame(rows)


def pairs() -> list[dict[str, Any]]:
    rows = []
    for seed in OWN:
        student, own = f"D/kd/small/{seed}", teacher(seed)
        rows += [
            pair("own_teacher", student, own, OWN[seed]),
            pair("pure_teacher", f"D/pure/small/{seed}", own, PURE[seed]),
            pair("permuted", student, own, 0.0),
            pair("cross_layer", student, own, 0.1),
        ]
        others = [one for one in OWN if one != seed]
        for other, value in zip(others, OTHERS[seed], strict=True):
            rows.append(pair("other_teacher", student, teacher(other), value))
    return rows


def quantity(found: pd.DataFrame, name: str) -> dict[str, Any]:
    (row,) = found[found["quantity"] == name].to_dict("records")
    return {str(key): value for key, value in row.items()}


def test_excess_is_the_paired_difference_to_pure_with_the_same_teacher() -> None:
    row = quantity(transfer_frame(table(), [], pairs()), "excess")
    gaps = [OWN[seed] - PURE[seed] for seed in OWN]
    expected = stats.ttest_1samp(gaps, 0.0)
    low, high = expected.confidence_interval(0.95)
    assert (row["arm"], row["n"]) == ("kd", 3)
    assert row["value"] == pytest.approx(sum(gaps) / 3)
    assert (row["low"], row["high"]) == (pytest.approx(low), pytest.approx(high))
    assert row["p"] == pytest.approx(expected.pvalue)


def test_specificity_is_the_difference_to_the_mean_of_other_teachers() -> None:
    row = quantity(transfer_frame(table(), [], pairs()), "specificity")
    gaps = [OWN[seed] - sum(OTHERS[seed]) / 2 for seed in OWN]
    assert row["value"] == pytest.approx(sum(gaps) / 3)


def test_a_pure_student_has_a_specificity_of_its_own_and_no_excess() -> None:
    rows, near = pairs(), {0: 0.45, 1: 0.5, 2: 0.58}
    for seed, value in near.items():
        name, others = f"D/pure/small/{seed}", [one for one in OWN if one != seed]
        rows += [pair("pure_other_teacher", name, teacher(one), value) for one in others]
    found = transfer_frame(table(), [], rows)
    (row,) = found[found["arm"] == "pure"].to_dict("records")
    assert row["quantity"] == "specificity" and row["n"] == 3
    assert row["value"] == pytest.approx(sum(PURE[s] - near[s] for s in near) / 3)
    rows += [pair("pure_teacher", f"D/pure/small/{s}", f"D/pure/huge/{s}", 0.3) for s in OWN]
    several = transfer_frame(table(), [], rows)
    assert set(several["arm"]) == {"kd"}  # which of two teachers would be its own?


def test_a_datasets_rows_stand_together_its_pure_students_last() -> None:
    rows = pairs()
    rows += [
        pair("pure_other_teacher", f"D/pure/small/{s}", teacher((s + 1) % 3), 0.1) for s in OWN
    ]
    both = [
        row | {name: row[name].replace("D/", f"{dataset}/", 1) for name in ("run_a", "run_b")}
        for dataset in ("D", "E")
        for row in rows
    ]
    runs = pd.concat(
        [table(), table().assign(dataset="E", run=table()["run"].str.replace("D/", "E/"))]
    )
    found = transfer_frame(runs, [], both)
    assert list(found["dataset"]) == ["D"] * 3 + ["E"] * 3
    assert list(found["arm"]) == ["kd", "kd", "pure"] * 2


def test_invalid_runs_enter_no_mean_and_two_seeds_have_no_interval() -> None:
    row = quantity(transfer_frame(table(invalid=(1,)), [], pairs()), "excess")
    assert row["n"] == 2
    assert row["value"] == pytest.approx(((0.9 - 0.5) + (0.85 - 0.55)) / 2)
    assert pd.isna(row["low"])
    assert row["why"]


def test_a_control_with_another_teacher_does_not_count() -> None:
    rows = [row for row in pairs() if row["kind"] != "pure_teacher"]
    rows += [pair("pure_teacher", f"D/pure/small/{s}", teacher((s + 1) % 3), 0.1) for s in OWN]
    row = quantity(transfer_frame(table(), [], rows), "excess")
    assert row["n"] == 0
    assert pd.isna(row["value"])
    assert "pure student" in row["why"]


def test_missing_values_are_left_out_and_bandwidths_stay_apart() -> None:
    rows = [row | {"bandwidth": 0.5, "measure": "rbf_cka"} for row in pairs()]
    rows += [row | {"bandwidth": 1.0, "measure": "rbf_cka", "value": 0.3} for row in pairs()]
    rows += [row | {"measure": "rsa", "value": None} for row in pairs()]
    found = transfer_frame(table(), [], rows)
    assert set(found["measure"]) == {"rbf_cka 0.5", "rbf_cka 1"}
    one = found[(found["measure"] == "rbf_cka 1") & (found["quantity"] == "excess")]
    assert one["value"].tolist() == [0.0]


def test_fidelity_of_logits_has_an_excess_too() -> None:
    rows = []
    for seed in OWN:
        both = (
            (f"D/kd/small/{seed}", "own_teacher", 90.0),
            (
                f"D/pure/small/{seed}",
                "pure_teacher",
                80.0 + seed,
            ),
        )
        for name, kind, value in both:
            rows.append(
                {
                    "run": name,
                    "layer": "logits",
                    "measure": "agreement",
                    "value": value,
                    "teacher": teacher(seed),
                    "kind": kind,
                }
            )
    row = quantity(transfer_frame(table(), rows, []), "excess")
    assert (row["layer"], row["value"]) == ("logits", pytest.approx(9.0))
