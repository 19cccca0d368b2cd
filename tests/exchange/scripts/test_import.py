"""Importing an earlier round: synthetic records in the scripts' layout, small enough to read."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from script_records import MODULES, TRACEBACK, WALLTIME, ScriptRounds, log
from stillhouse.cli.main import app
from stillhouse.config.load import load_round
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.observations.rules import observe
from stillhouse.diagnosis.read import read_round
from stillhouse.errors import ConfigError, DataError, RunError
from stillhouse.exchange.scripts.script_run import CUT_OFF
from stillhouse.exchange.scripts.summary import import_table
from stillhouse.exchange.scripts.write import Import, import_round
from stillhouse.rounds.survey import Cell, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.status import status_table

TEACHER = "Cifar10/pure/ResNet112/0"
PURE = "Cifar10/pure/ResNet56/0"
ONE = "Cifar10/pure/ResNet56/1"
LOGIT = "Cifar10/logit/ResNet112_to_ResNet56/0"
SWEPT = "Cifar10/rkd/alpha_0.25/ResNet112_to_ResNet56/0"


@pytest.fixture
def scripts(tmp_path: Path) -> ScriptRounds:
    return ScriptRounds(tmp_path / "source")


def bring_in(scripts: ScriptRounds) -> Import:
    return import_round(scripts.root, "earlier", scripts.root.parent / "earlier", None)


def cells(done: Import) -> dict[str, Cell]:
    survey = survey_round(Workspace(done.file.parent), load_round(done.file))
    return {cell.config.path: cell for cell in survey.cells}


def hashes(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(p.relative_to(folder)): sha256(p.read_bytes()).hexdigest() for p in files}


def test_a_completed_run_has_its_records_and_its_best_epoch(scripts: ScriptRounds) -> None:
    scripts.run(PURE, [30.0, 61.5, 60.0], log=log(0, seconds=30))
    cell = cells(bring_in(scripts))[PURE]
    records = cell.folder.records()
    assert cell.shown == "done"
    assert [record["test"]["accuracy"] for record in records] == [30.0, 61.5, 60.0]
    assert records[0]["train"] == {"ce": 2.0, "total": 2.0, "accuracy": 30.0}
    assert cell.state.result is not None
    assert cell.state.result["final"]["epoch"] == 3
    assert cell.state.result["best"]["epoch"] == 2
    assert cell.state.result["best"]["test_accuracy"] == 61.5
    assert json.loads(cell.folder.run.read_text())["imported"]["folder"] == PURE


def test_a_run_that_was_cut_has_what_its_log_tells(scripts: ScriptRounds) -> None:
    scripts.run(PURE, [30.0] * 5)
    scripts.run(
        TEACHER,
        status={"status": "in_progress", "epoch": 4, "max_acc": 41.0},
        log=log(3, (33.0, 40.0), (35.5, 41.0), end="Epoch 5"),
        errors=MODULES + WALLTIME,
    )
    cell = cells(bring_in(scripts))[TEACHER]
    assert (cell.shown, cell.state.epoch, cell.state.attempts) == ("lost", 5, 2)
    assert (cell.state.code, cell.state.best) == ("walltime", 41.0)
    assert cell.state.reason == "PBS: job killed: walltime 7238 exceeded limit 7200"
    assert [(r["epoch"], r["train"]["accuracy"]) for r in cell.folder.records()] == [
        (4, 33.0),
        (5, 35.5),
    ]
    earlier = cell.folder.attempt(1).read_status()
    assert (earlier["state"], earlier["epoch"]) == ("lost", 3)


def test_a_terminal_traceback_beats_the_status_of_an_earlier_attempt(scripts: ScriptRounds) -> None:
    status = {"status": "in_progress", "epoch": 60, "max_acc": 93.408}
    scripts.run(PURE, status=status, log=log(0, seconds=5), errors=MODULES + TRACEBACK)
    done = bring_in(scripts)
    cell = cells(done)[PURE]
    assert (cell.shown, cell.state.epoch, cell.state.attempts) == ("failed", 0, 2)
    assert cell.state.reason == "ModuleNotFoundError: No module named 'scipy'"
    assert cell.state.code == "missing-module"
    (conflict,) = cell.state.conflicts
    ((path, note),) = done.notes
    assert note == f"in conflict: {conflict}"
    assert cell.why == f"{cell.state.reason}; in conflict: {conflict}"
    assert (
        path == PURE
        and "errors:5 ends in a traceback" in note
        and "in_progress at epoch 60" in note
    )
    earlier = cell.folder.attempt(1).read_status()
    assert (earlier["epoch"], earlier["code"]) == (61, "unfinished")


def test_a_completed_run_survives_a_later_crash(scripts: ScriptRounds) -> None:
    scripts.run(PURE, [50.0, 60.0], errors=TRACEBACK)
    done = bring_in(scripts)
    assert cells(done)[PURE].shown == "done"
    assert [note for _, note in done.notes] == [
        "in conflict: errors:4 says 'ModuleNotFoundError: No module named 'scipy'', "
        "status.json completed"
    ]


def test_a_run_found_completed_by_a_later_call_has_two_attempts(scripts: ScriptRounds) -> None:
    told = log(0, end="Training already completed for experiments", seconds=3)
    scripts.run(PURE, [50.0, 60.0], log=told)
    cell = cells(bring_in(scripts))[PURE]
    assert (cell.shown, cell.state.attempts) == ("done", 2)


def test_runs_that_left_little_or_nothing(scripts: ScriptRounds) -> None:
    (scripts.root / "experiments" / PURE).mkdir(parents=True)
    scripts.run(TEACHER, log=log(0))
    scripts.run(LOGIT, status={"status": "in_progress", "epoch": 1, "max_acc": 20.0})
    scripts.run(ONE, status={"status": "in_progress", "job_id": "12345.pbs"})
    found = cells(bring_in(scripts))
    assert {path: (c.shown, c.state.reason, c.state.epoch) for path, c in found.items()} == {
        PURE: ("pending", "", 0),
        ONE: ("pending", "", 0),
        TEACHER: ("lost", f"{CUT_OFF}, before its first epoch ended", 0),
        LOGIT: ("lost", CUT_OFF, 2),
    }


def test_a_run_that_never_started_is_pending_and_no_failure(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [50.0, 60.0])
    scripts.run(ONE, status={"status": "in_progress", "job_id": "12345.pbs"})
    done = bring_in(scripts)
    survey = survey_round(Workspace(done.file.parent), load_round(done.file))
    assert status_table(survey).title == "round earlier: 1 done, 1 pending"
    assert status_table(survey).notes == ()
    rows = [row for row in import_table(done).rows if row[1] == "never started"]
    assert rows == [("Cifar10", "never started", 1, "pending: it never started")]
    assert not any(diagnose(case) for case in read_round(Workspace(done.file.parent), survey.round))


def test_in_progress_without_log_or_error_is_only_possibly_cut_off(scripts: ScriptRounds) -> None:
    status = {"status": "in_progress", "epoch": 87, "max_acc": 51.0}
    scripts.run(PURE, status=status)
    done = bring_in(scripts)
    (case,) = read_round(Workspace(done.file.parent), load_round(done.file))
    (finding,) = diagnose(case)
    assert (finding.code, finding.confidence) == ("unfinished", "possible")
    assert finding.evidence[0].text == "running or cut off when the records were copied"
    assert case.state.epoch == 88


def test_the_best_accuracy_of_an_unfinished_run_shows_that_it_learned_nothing(
    scripts: ScriptRounds,
) -> None:
    scripts.run(TEACHER, [50.0, 60.0])
    scripts.run(PURE, status={"status": "in_progress", "epoch": 87, "max_acc": 7.4})
    done = bring_in(scripts)
    cell = cells(done)[PURE]
    below = "its best test accuracy, 7.40 % of 88 epochs, is below chance (10.00 %)"
    assert (cell.state.best, cell.why) == (7.4, f"{CUT_OFF}; {below}")
    cases = read_round(Workspace(done.file.parent), load_round(done.file))
    found = {f.code: f for case in cases if case.path == PURE for f in diagnose(case)}
    assert set(found) == {"unfinished", "nothing-learned"}
    assert found["nothing-learned"].evidence[0].text == below
    survey = survey_round(Workspace(done.file.parent), load_round(done.file))
    observed = {one.code: one.sentence for one in observe(survey)}
    assert below in observed["incomplete"]
    assert "collapsed" not in observed


def test_an_alpha_level_becomes_the_sweep(scripts: ScriptRounds) -> None:
    scripts.run(TEACHER, [90.0])
    scripts.run(SWEPT, [80.0], config={"alpha": 0.25})
    scripts.run(LOGIT, [85.0], config={"alpha": 0.75})
    done = bring_in(scripts)
    assert done.round.sweep == {"alpha": (0.25, 0.75)}
    assert done.unmapped == ()
    found = cells(done)
    level = LOGIT.replace("logit/", "logit/alpha_0.75/")
    assert found[level].state.result is not None
    assert found[SWEPT].config.distillation.alpha == 0.25
    assert found[SWEPT].config.axes == {"alpha": 0.25}


def test_two_folders_of_one_run_are_not_merged(scripts: ScriptRounds) -> None:
    scripts.run(SWEPT, [80.0], config={"alpha": 0.25})
    scripts.run("Cifar10/rkd/ResNet112_to_ResNet56/0", [81.0], config={"alpha": 0.25})
    ((path, why),) = bring_in(scripts).unmapped
    assert path == SWEPT or "same run" in why


def test_nothing_of_the_source_is_lost_or_touched(scripts: ScriptRounds) -> None:
    scripts.run(PURE, [50.0, 60.0])
    folder = scripts.run(TEACHER, [50.0, 60.0])
    (folder / "best.pth").write_bytes(b"weights")
    (folder / "plots").mkdir()
    (folder / "plots/loss.csv").write_text("epoch,loss\n")
    scripts.run("Moons/pure/ResNet56/0", [50.0])
    (scripts.root / "experiments/notes.txt").write_text("a remark")
    before = hashes(scripts.root)
    done = bring_in(scripts)
    assert hashes(scripts.root) == before
    copies = set(hashes(done.file.parent).values())
    assert {path for path, code in before.items() if code not in copies} == {
        f"experiments/{TEACHER}/best.pth"
    }
    files = json.loads(cells(done)[TEACHER].folder.run.read_text())["imported"]["files"]
    assert files["best.pth"]["copied"] is False and files["plots/loss.csv"]["copied"] is True
    assert [path for path, _ in done.unmapped] == [
        "Moons/pure/ResNet56/0",
        "Moons/pure/ResNet56/0/errors",
        "Moons/pure/ResNet56/0/logs",
        "Moons/pure/ResNet56/0/metrics.json",
        "Moons/pure/ResNet56/0/status.json",
        "notes.txt",
    ]
    notes = import_table(done).notes
    assert any(note.startswith("notes.txt: ") for note in notes)


def test_what_cannot_be_read_is_said(scripts: ScriptRounds) -> None:
    folder = scripts.run(PURE, [50.0, 60.0])
    (folder / "metrics.json").write_text('{"train_loss": [')
    done = bring_in(scripts)
    assert cells(done)[PURE].shown == "lost"
    assert any("metrics.json: not readable" in note for _, note in done.notes)


@pytest.mark.parametrize(
    ("file", "field", "value", "said"),
    [
        ("status.json", "epoch", "sixty", "epoch is 'sixty', expected a whole number"),
        ("status.json", "max_acc", None, "max_acc is null, expected a percentage"),
        ("status.json", "status", 3, "status is 3, expected a text"),
        ("status.json", "config", [], "config is [], expected an object"),
        ("metrics.json", "test_acc", [50.0, 160.0], "test_acc has values that are not percentages"),
        ("metrics.json", "test_loss", "low", "test_loss is not a list of numbers"),
        ("metrics.json", "train_acc", [50.0], "its series differ in length"),
    ],
)
def test_a_field_of_another_kind_is_left_out_and_said(
    scripts: ScriptRounds, file: str, field: str, value: object, said: str
) -> None:
    path = scripts.run(PURE, [50.0, 60.0]) / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    done = bring_in(scripts)
    assert any(f"{file}: {said}" in note for _, note in done.notes)
    assert cells(done)[PURE].shown in ("done", "lost")


def test_an_alpha_that_is_no_number_is_left_out(scripts: ScriptRounds) -> None:
    scripts.run(LOGIT, [50.0], config={"alpha": "half"})
    scripts.run(SWEPT, [50.0], config={"alpha": 0.25})
    ((path, why),) = bring_in(scripts).unmapped
    assert path == LOGIT and "alpha is 'half', expected a number" in why


@pytest.mark.parametrize("accuracy", ["160.00", "nan", "high"])
def test_a_line_that_is_no_epochs_is_left_out_and_said(
    scripts: ScriptRounds, accuracy: str
) -> None:
    told = log(0, (40.0, 41.0), (50.0, 51.0)).replace("51.000", accuracy)
    scripts.run(PURE, status={"status": "in_progress", "epoch": 2}, log=told)
    done = bring_in(scripts)
    assert len(cells(done)[PURE].folder.records()) == 1
    assert any(note.startswith("logs:10: not a loss and an accuracy") for _, note in done.notes)


def test_a_name_must_be_a_name(scripts: ScriptRounds) -> None:
    scripts.run(PURE, [50.0])
    with pytest.raises(ConfigError, match="--as a/b"):
        import_round(scripts.root, "a/b", scripts.root.parent / "x")


def test_a_loss_that_is_not_a_number_is_named(scripts: ScriptRounds) -> None:
    scripts.run(PURE, [50.0, 10.0], losses=[2.0, float("nan")])
    cell = cells(bring_in(scripts))[PURE]
    first, second = cell.folder.records()
    assert first["test"] == {"accuracy": 50.0, "ce": 2.0}
    assert second["test"] == {"accuracy": 10.0}
    assert json.loads(cell.folder.metrics().read_text().splitlines()[1])["not_finite"] == [
        "train.total",
        "test.ce",
    ]
    assert b"NaN" in (cell.folder.path / "imported/metrics.json").read_bytes()


def test_a_teacher_still_in_training_is_noted(scripts: ScriptRounds) -> None:
    status = {"status": "in_progress", "epoch": 2, "max_acc": 41.0}
    scripts.run(TEACHER, status=status, log=log(0, (3, 4), (4, 5)))
    scripts.run(LOGIT, status=status, log=log(0, (3, 4), (4, 5)))
    done = bring_in(scripts)
    assert (LOGIT, "it started before its teacher was finished") in done.notes
    assert json.loads(cells(done)[LOGIT].folder.run.read_text())["teacher"] == {
        "model": "ResNet112",
        "seed": 0,
        "weights": "best",
        "file": f"experiments/{TEACHER}/best.pth",
        "accuracy": 41.0,
        "finished_before": False,
    }


@pytest.mark.parametrize(
    ("seconds", "facts"), [(3000, (True, None, None)), (7200, (False, 1, 41.0))]
)
def test_start_times_tell_how_far_the_teacher_was(
    scripts: ScriptRounds, seconds: int, facts: tuple[object, ...]
) -> None:
    told = log(0, (40.0, 41.0), (50.0, 51.0), seconds=seconds)
    scripts.run(TEACHER, [41.0, 51.0], log=told.replace("14:24:15", "13:24:15"))
    scripts.run(LOGIT, [45.0, 46.0], log=log(0, (40.0, 41.0)))
    teacher = json.loads(cells(bring_in(scripts))[LOGIT].folder.run.read_text())["teacher"]
    names = ("finished_before", "epoch_at_start", "accuracy_at_start")
    assert tuple(teacher.get(name) for name in names) == facts


def test_teachers_of_another_seed_are_read_from_the_weights_path(scripts: ScriptRounds) -> None:
    one = LOGIT.replace("/0", "/1")
    scripts.run(TEACHER, [90.0])
    for path in (LOGIT, one):
        scripts.run(path, [80.0], config={"teacher_weights": f"experiments/{TEACHER}/best.pth"})
    done = bring_in(scripts)
    assert done.round.teacher_seeds == (0, 0)
    teacher = cells(done)[one].config.teacher
    assert teacher is not None and teacher.seed == 0


def test_a_setting_that_differs_from_the_path_is_noted(scripts: ScriptRounds) -> None:
    scripts.run(PURE, [50.0], config={"dataset": "Cifar100"})
    assert bring_in(scripts).notes == (
        (PURE, "recorded dataset 'Cifar100', the round says 'Cifar10'"),
    )


def test_an_import_needs_an_empty_workspace_and_some_runs(scripts: ScriptRounds) -> None:
    (scripts.root / "experiments").mkdir(parents=True)
    with pytest.raises(DataError, match="no run folders"):
        bring_in(scripts)
    scripts.run(PURE, [50.0])
    bring_in(scripts)
    with pytest.raises(RunError, match="not empty"):
        bring_in(scripts)


def test_the_command_says_what_to_type_next_and_run_is_refused(scripts: ScriptRounds) -> None:
    scripts.run(PURE, [50.0, 60.0])
    scripts.run(LOGIT, [50.0, 61.0])
    root = str(scripts.root.parent / "workspace")
    runner = CliRunner()
    done = runner.invoke(app, ["import", str(scripts.root), "--as", "old", "--root", root])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1] == f"next: stillhouse status old --root {root}"
    for command in (["status"], ["table"], ["plan"]):
        shown = runner.invoke(app, [*command, "old", "--root", root])
        assert shown.exit_code == 0, shown.output
    refused = runner.invoke(app, ["run", "old", "--root", root])
    assert isinstance(refused.exception, RunError)
    assert "was imported from" in str(refused.exception)
