"""A table says where it mixes recipes, code, packages or machines, or teachers that changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fake_rounds import LOGIT, RKD, TEACHER, Bench, edit
from stillhouse.rounds.provenance import footnotes
from stillhouse.show.results import seed_tables
from stillhouse.show.status import status_table

ACCURACIES = [90.0, 90.0, 80.0, 81.0, 82.0, 83.0, 84.0, 85.0]


@pytest.fixture
def full(bench: Bench) -> Bench:
    bench.finish_all(ACCURACIES)
    return bench


def notes(bench: Bench) -> tuple[str, ...]:
    return footnotes(bench.look(), "Digits")


def test_runs_of_one_kind_need_no_footnote(full: Bench) -> None:
    assert notes(full) == ()


def test_a_run_with_another_recipe_than_the_round_file_is_named(full: Bench) -> None:
    def change(run: dict[str, Any]) -> None:
        run["config"]["training"]["learning_rate"] = 0.05

    edit(full.folder(f"{LOGIT}/1").run, change)
    (note,) = notes(full)
    assert note == f"Trained with training.learning_rate 0.05 (now 0.02): {LOGIT}/1."


def test_a_changed_parameter_of_the_method_is_named(full: Bench) -> None:
    def change(run: dict[str, Any]) -> None:
        run["config"]["parameters"]["temperature"] = 2.0

    bench = Bench(full.workspace.root, overrides={"methods": {"logit": {"temperature": 4.0}}})
    edit(bench.folder(f"{LOGIT}/0").run, change)
    edit(
        bench.folder(f"{LOGIT}/1").run,
        lambda run: run["config"]["parameters"].update(temperature=4),
    )
    assert notes(bench) == (f"Trained with parameters.temperature 2 (now 4): {LOGIT}/0.",)


def test_arms_with_a_recipe_of_their_own_are_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path, overrides={"methods": {"rkd": {"learning_rate": 0.01}}}, seeds=[0])
    bench.finish_all([90.0, 80.0, 81.0, 82.0])
    assert notes(bench) == ("Recipes differ between arms: rkd: learning_rate 0.01 (others 0.02).",)


def test_several_versions_of_the_code_are_counted(full: Bench) -> None:
    (attempt,) = full.folder(f"{RKD}/0").attempts()
    edit(attempt.claim, lambda claim: claim.update(source="f" * 64))
    (note,) = notes(full)
    assert note.startswith("Trained with 2 versions of the code: ")
    assert "ffffffff (1 runs)" in note and "(7 runs)" in note


def test_packages_and_processors_are_counted(full: Bench) -> None:
    machine = {"packages": {"torch": "2.6", "numpy": "2"}, "processor": "another"}
    edit(full.folder(f"{RKD}/0").run, lambda run: run.update(machine=machine))
    packages, processors = notes(full)
    assert "torch 2.6, numpy 2 (1 runs)" in packages
    assert "another (1 runs)" in processors


def test_students_of_a_teacher_that_changed_are_named_in_table_and_status(full: Bench) -> None:
    edit(full.folder(f"{TEACHER}/0").result, lambda r: r["weights"].update(final="1" * 64))
    taught = {"weights": "final", "sha256": "2" * 64}
    edit(full.folder(f"{LOGIT}/0").result, lambda r: r.update(teacher=taught))
    expected = f"The teacher changed after these students learnt from it: {LOGIT}/0."
    assert notes(full) == (expected,)
    assert status_table(full.look()).notes == (expected,)
    assert seed_tables(full.look(), "final")[0].notes[-1] == expected


def test_a_damaged_record_is_named_and_hides_nothing(full: Bench) -> None:
    full.folder(f"{RKD}/0").attempts()[-1].claim.write_text("{")
    (note,) = notes(full)
    assert note.startswith("Where this run comes from is not known: ") and f"{RKD}/0" in note


def test_teachers_from_files_are_named_with_their_accuracy(full: Bench) -> None:
    sha256 = "a" * 64
    taught = {"weights": "final", "sha256": sha256, "adopted": "best.pth", "accuracy": 91.5}
    weights = {"final": sha256, "best": sha256}
    edit(full.folder(f"{TEACHER}/0").result, lambda r: r.update(weights=weights))
    edit(full.folder(f"{LOGIT}/0").result, lambda r: r.update(teacher=taught))
    expected = "Teachers from files, whose training is not recorded: best.pth (91.50 %)."
    assert notes(full) == (expected,)
