"""A round with several teachers: its tables, its observations and its figure of differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fake_rounds import Bench
from stillhouse.diagnosis.observations.rules import observe
from stillhouse.show.figures import accuracy, forest
from stillhouse.show.figures.drawn import Tables
from stillhouse.show.figures.forest import _teacher
from stillhouse.show.plan import plan_numbers
from stillhouse.show.results import seed_tables
from stillhouse.show.status import status_table
from stillhouse.show.table import statistics_numbers
from stillhouse.stats.arms import arms
from stillhouse.stats.frame import frame
from stillhouse.stats.runs import runs_frame

SEEDS = [0, 1, 2]
STRONG, WEAK, OWN = "ResNet20", "resnet14", "ResNetBaby"


def bench(
    root: Path, by_teacher: dict[str, float], accuracy: dict[str, float], **changes: Any
) -> Bench:
    """A finished round: `by_teacher` are the students' accuracies, `accuracy` those of `pure`."""
    made = Bench(
        root,
        teachers=[*by_teacher],
        seeds=SEEDS,
        methods=["pure", "logit"],
        **changes,
    )
    for path, run in made.runs.items():
        value = by_teacher[run.teacher.model] if run.teacher else accuracy[run.model]
        made.finish(path, value + [0.0, 0.5, -0.6][run.seed] * (1.3 if run.teacher else 1.0))
    return made


def made(root: Path, strong: float = 85.0, weak: float = 88.0) -> Bench:
    return bench(root, {STRONG: strong, WEAK: weak}, {STRONG: 95.0, WEAK: 92.0, OWN: 86.0})


def test_each_teacher_has_a_row_and_its_students_too(tmp_path: Path) -> None:
    survey = made(tmp_path).look()
    labels = [arm.label for arm in arms(survey, "Digits")]
    assert labels == [
        "Teacher (ResNet20)",
        "Teacher (resnet14)",
        "Student pure (ResNetBaby)",
        "Logit KD from ResNet20",
        "Logit KD from resnet14",
    ]
    (table,) = seed_tables(survey, None)
    assert [row[0] for row in table.rows] == labels
    rows = {row[1] for row in status_table(survey).rows}
    assert {"logit from ResNet20", "logit from resnet14"} < rows
    numbers = plan_numbers(survey, {}).rows
    assert len(numbers) == 5 and {row[4] for row in numbers} == {3}


def test_a_student_is_compared_with_its_own_teacher(tmp_path: Path) -> None:
    found = frame(made(tmp_path).look(), "Digits")
    gaps = {row.arm.label: row.to_teacher for row in found.rows}
    strong, weak = gaps["Logit KD from ResNet20"], gaps["Logit KD from resnet14"]
    assert strong is not None and weak is not None
    assert round(strong.value) == -10 and round(weak.value) == -4
    assert gaps["Student pure (ResNetBaby)"] is None
    table = statistics_numbers(made(tmp_path / "b").look(), found)
    teachers = [row[table.columns.index("teacher")] for row in table.rows]
    assert sorted(filter(None, map(str, teachers))) == ["None", "None", "None", STRONG, WEAK]


def texts(survey: Any) -> dict[str, str]:
    return {found.code: found.sentence for found in observe(survey)}


def test_a_stronger_teacher_that_is_no_better_one_is_observed(tmp_path: Path) -> None:
    text = texts(made(tmp_path).look())["teachers-compared"]
    assert "the strongest teacher, ResNet20, is not the best one" in text and "+3.00" in text
    other = texts(made(tmp_path / "b", strong=90.0).look())["teachers-compared"]
    assert "the strongest teacher, ResNet20, is the best one" in other


def test_without_a_teacher_of_the_students_network_the_control_is_asked_for(tmp_path: Path) -> None:
    assert OWN in texts(made(tmp_path).look())["no-same-architecture"]
    accuracy = {STRONG: 95.0, OWN: 86.0}
    controlled = bench(tmp_path / "b", {STRONG: 85.0, OWN: 87.0}, accuracy).look()
    assert "no-same-architecture" not in texts(controlled)
    roles = {arm.label: arm.role for arm in arms(controlled, "Digits")}
    assert roles["Student pure (ResNetBaby)"] == "pure"


def test_the_figure_of_differences_has_no_line_of_a_teacher_that_is_not_one(tmp_path: Path) -> None:
    assert _teacher(runs_frame(made(tmp_path).look())) is None
    single = Bench(tmp_path / "b")
    single.finish_all([90, 90, 80, 81, 82, 83, 84, 85])
    assert _teacher(runs_frame(single.look())) == 8.5


def test_figures_have_a_row_and_a_look_for_each_teacher(tmp_path: Path) -> None:
    runs = runs_frame(made(tmp_path).look())
    empty = pd.DataFrame()
    tables = Tables("tiny", runs, empty, empty, empty, {"Digits": 355}, {"Digits": 10})
    looks = tables.looks()
    by_strong, by_weak = f"Logit KD from {STRONG}", f"Logit KD from {WEAK}"
    assert len({looks[by_strong], looks[by_weak], looks[f"Student pure ({OWN})"]}) == 3
    means = accuracy.draw(tables, "Digits").data.set_index("arm")["mean"]
    assert round(means[by_weak] - means[by_strong], 6) == 3.0
    gaps = forest.draw(tables, "Digits").data.set_index("arm")["difference"]
    assert round(gaps[by_weak] - gaps[by_strong], 6) == 3.0
