from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fake_rounds import LOGIT, RKD, TEACHER, Bench
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.data.specs import SPECS
from stillhouse.rounds.cost import processes, recorded_costs
from stillhouse.rounds.estimate import Process
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.plan import loss_text, plan, plan_numbers
from stillhouse.tables import Table

BETA = Path(__file__).parents[2] / "rounds" / "beta.yaml"


def left(survey: Survey) -> list[Process]:
    """The processes that train what is left, as far as records tell what they cost."""
    return processes(survey, recorded_costs(survey))


def cells(table: Table) -> dict[str, dict[str, object]]:
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    return {f"{row['Method']} {row['Network']}": row for row in rows}


def test_round_beta_is_a_matrix_of_96_runs(tmp_path: Path) -> None:
    """Its four datasets have the same rows, so they are one table; nothing is timed."""
    survey = survey_round(Workspace(tmp_path), load_round(BETA))
    (table,) = plan(survey, left(survey))
    assert table.title == "Cifar10, Cifar100, SVHN, TinyImageNet: for each of them"
    rows = cells(table)
    assert len(rows) == 8
    assert sum(row["Runs"] for row in rows.values()) == 24
    assert {row["Seeds"] for row in rows.values()} == {"0,1,2"}
    waiting = {name: row["Waits for"] for name, row in rows.items()}
    assert waiting.pop("pure ResNet112") == waiting.pop("pure ResNet56") == ""
    assert set(waiting.values()) == {"ResNet112 0,1,2"}
    assert rows["pure ResNet56"]["Cost"] == "3 x 1"
    assert rows["pure ResNet112"]["Cost"] == "3 x 2"
    assert rows["rkd ResNet56"]["Cost"] == "3 x 1.7"
    assert table.notes[-1] == "round beta: 96 runs, 0 done, 96 left"
    assert "unknown in hours: stillhouse plan --time" in table.notes[-2]
    assert "loss of logit: 0.1 ce + 0.9 kd (kd : ce = 9)" in table.notes
    assert max(len(" ".join(map(str, row))) for row in table.rows) < 70


def test_a_plan_follows_what_is_done(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{LOGIT}/0", 80.0)
    (table,) = plan(bench.look(), left(bench.look()))
    rows = cells(table)
    shown = {name: (row["Runs"], row["Done"], row["Waits for"]) for name, row in rows.items()}
    assert shown["pure ResNet20"] == (2, 1, "")
    assert shown["logit ResNetBaby"] == (2, 1, "ResNet20 1")
    assert shown["rkd ResNetBaby"] == (2, 0, "ResNet20 1")
    assert rows["logit ResNetBaby"]["Cost"] == "10 s"  # its own 6, and the teacher's passes
    assert rows["rkd ResNetBaby"]["Cost"] == "2 x 2.1"


def test_what_is_unusual_about_the_images_is_noted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (before,) = plan(bench.look(), [])
    noted = replace(SPECS["Digits"], note="Test images are those in val/.")
    monkeypatch.setitem(SPECS, "Digits", noted)
    (table,) = plan(bench.look(), [])
    (more,) = set(table.notes) - set(before.notes)
    assert "Digits" in more and "val/" in more


def test_datasets_that_differ_have_tables_of_their_own(tmp_path: Path) -> None:
    bench = Bench(tmp_path, datasets=["Digits", "Cifar10", "Cifar100"])
    bench.finish(f"{TEACHER}/0", 90.0)
    titles = [table.title for table in plan(bench.look(), left(bench.look()))]
    assert titles == ["Digits", "Cifar10, Cifar100: for each of them"]


def test_programs_get_one_number_per_cell(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{LOGIT}/0", 80.0)
    table = plan_numbers(bench.look(), left(bench.look()))
    rows = {row[1:3]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    logit, pure = rows["logit", "ResNetBaby"], rows["pure", "ResNetBaby"]
    counts = [logit[name] for name in ("planned", "done", "left", "waiting")]
    assert (counts, logit["teacher"], pure["teacher"]) == ([2, 1, 1, 1], "ResNet20", None)
    weights = [logit[name] for name in ("weight_ce", "weight_kd", "weight_angle")]
    assert weights == [0.1, 0.9, None]
    assert (pure["passes"], pure["seconds"], logit["seconds_alone"]) == (
        1.0,
        None,
        logit["seconds"],
    )
    assert 6.0 < logit["seconds"] < 12.0  # the teacher's passes are estimated


@pytest.mark.parametrize(
    ("path", "alpha", "expected"),
    [
        # Logit's published total is 0.1 and 0.9, so it is met at alpha = 0.9 ...
        (LOGIT, None, "0.1 ce + 0.9 kd (kd : ce = 9)"),
        (LOGIT, 0.9, "0.1 ce + 0.9 kd (kd : ce = 9)"),
        (LOGIT, 0.5, "0.5 ce + 0.5 kd (kd : ce = 1)"),
        # ... and RKD's, 1 to 25 and 50, at alpha = 0.5.
        (RKD, None, "0.5 ce + 12.5 distance + 25 angle (distance : ce = 25, angle : ce = 50)"),
        (RKD, 0.2, "0.8 ce + 5 distance + 10 angle (distance : ce = 6.25, angle : ce = 12.5)"),
    ],
)
def test_the_convex_total(tmp_path: Path, path: str, alpha: float | None, expected: str) -> None:
    bench = Bench(tmp_path, distillation={"total": "convex", "alpha": alpha})
    assert loss_text(resolve(bench.runs[f"{path}/0"])) == expected
