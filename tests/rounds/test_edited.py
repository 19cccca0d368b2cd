"""A round whose file was edited after training: every command says so, in the same words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commands import typed
from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.errors import ConfigError, RunError
from stillhouse.rounds.edited import changed_runs, disagreements, dropped_runs
from stillhouse.rounds.find import open_round
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.records import train_anew

TEMPERATURE = {"methods": {"logit": {"temperature": 2.0}}}


@pytest.fixture
def old(tmp_path: Path) -> Bench:
    """A round of which seed 0 was trained, logit with a temperature of its own."""
    old = Bench(tmp_path / "bench", overrides=TEMPERATURE)
    old.workspace.activate(old.round, old.file)
    for path in (f"{TEACHER}/0", f"{PURE}/0", f"{LOGIT}/0"):
        old.finish(path, 80.0)
    old.end(f"{RKD}/0", "failed", "the loss is not finite")
    return old


def now(old: Bench, **changes: object) -> Bench:
    """The same workspace with another round file."""
    return Bench(old.workspace.root, **changes)


def fields(bench: Bench, exact: bool) -> dict[str, set[str]]:
    found = changed_runs(bench.look().cells, exact)
    return {cell.config.path: {field for field, _, _ in changes} for cell, changes in found}


@pytest.mark.parametrize("exact", [False, True])
def test_the_text_of_a_method_says_what_its_code_does(old: Bench, exact: bool) -> None:
    assert fields(old, exact) == {}
    assert fields(now(old), exact) == {f"{LOGIT}/0": {"parameters.temperature"}}
    default = {"methods": {"logit": {"temperature": 4.0, "standardise": False}}}
    assert fields(now(old, overrides=default), exact) == fields(now(old), exact)
    rate = {"overrides": TEMPERATURE, "training": old.round.training.model_dump() | {"epochs": 5}}
    rate["training"]["augmentation"] = []
    rate["training"]["milestones"] = []
    begun = {f"{TEACHER}/0", f"{PURE}/0", f"{LOGIT}/0", f"{RKD}/0"}
    assert fields(now(old, **rate), exact) == {run: {"training.epochs"} for run in begun}


def test_runs_that_the_file_no_longer_names_are_found(old: Bench) -> None:
    assert dropped_runs(old.workspace, old.round) == []
    without = now(old, methods=["pure", "logit"], overrides=TEMPERATURE)
    assert dropped_runs(without.workspace, without.round) == [f"{RKD}/0"]
    other = now(old, round="other", methods=["pure"])
    assert dropped_runs(other.workspace, other.round) == []  # another round is active here
    kept = old.workspace.experiments
    for name in ("adopted", "pretrained", ".trash/now"):
        (kept / name / "Digits").mkdir(parents=True)
        (kept / name / "Digits" / "run.json").touch()
    assert dropped_runs(old.workspace, old.round) == []


@pytest.mark.parametrize("command", ["plan", "status", "table", "table --style cost", "run"])
def test_every_command_names_the_fields_and_the_runs(
    old: Bench, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = {"epochs": 5, "batch_size": 64, "learning_rate": 0.02, "train_images": 200}
    without = now(old, methods=["pure", "logit"], overrides=TEMPERATURE, training=training)
    monkeypatch.chdir(old.workspace.root)
    code = typed(monkeypatch, *command.split(), str(without.file))
    out, err = capsys.readouterr()
    said = " ".join((out + err).split())
    assert code == (1 if command == "run" else 0)
    assert "training.epochs" in said and f"{RKD}/0" in said
    assert f"stillhouse reset {without.file} --changed" in said
    if command != "run":
        assert typed(monkeypatch, *command.split(), str(without.file), "--format", "json") == 0
        notes = " ".join(json.loads(capsys.readouterr().out)["notes"])
        assert "training.epochs 2 (now 5)" in notes and f"{RKD}/0" in notes


def test_nothing_is_said_of_a_file_that_agrees(old: Bench) -> None:
    assert disagreements(old.workspace, old.look(), "reset") == ()


def test_a_dataset_that_is_not_shown_is_still_named_by_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    two = Bench(tmp_path / "two", datasets=["Digits", "Cifar10"])
    two.workspace.activate(two.round, two.file)
    two.finish(f"{TEACHER}/0", 80.0)
    two.finish(f"{TEACHER}/0".replace("Digits", "Cifar10"), 80.0)
    monkeypatch.chdir(two.workspace.root)
    words = ("table", str(two.file), "--only", "dataset=Digits", "--format", "json")
    assert typed(monkeypatch, *words) == 0
    assert "Cifar10/" not in capsys.readouterr().out


def test_a_damaged_run_names_the_command_that_moves_it_aside(
    old: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(old.workspace.root)
    run = Workspace(Path()).folder(old.runs[f"{PURE}/0"])
    run.run.write_text("{")
    with pytest.raises(RunError) as caught:
        run.started()
    command = caught.value.hint.partition("after: ")[2]
    assert command == f"stillhouse reset {PURE}/0"
    assert typed(monkeypatch, *command.split()[1:], "--yes") == 0
    assert not run.path.exists()
    assert typed(monkeypatch, "reset", "tiny", "--undo") == 0
    assert run.path.exists()


def test_a_run_that_the_file_no_longer_names_can_be_moved_aside(
    old: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    without = now(old, methods=["pure", "logit"], overrides=TEMPERATURE)
    monkeypatch.chdir(old.workspace.root)
    assert typed(monkeypatch, "reset", f"{RKD}/0", "--yes") == 0
    assert dropped_runs(without.workspace, without.round) == []
    assert typed(monkeypatch, "reset", f"{RKD}/0", "--yes") == 2


@pytest.mark.parametrize(
    ("file", "command"),
    [
        ("w/experiments/Digits/pure/R/0/run.json", "stillhouse reset Digits/pure/R/0 --root w"),
        ("experiments/D/rkd/temperature_0.5/R/0", "stillhouse reset D/rkd/temperature_0.5/R/0"),
        (
            "a b/experiments/D/pure/R/0/attempts/001/x.json",
            "stillhouse reset D/pure/R/0 --root 'a b'",
        ),
    ],
)
def test_the_remedy_of_a_file_is_a_command_for_its_run(file: str, command: str) -> None:
    assert train_anew(Path(file)).endswith(f"after: {command}")


def test_a_failed_start_leaves_no_round_active(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = Bench(tmp_path, teachers_from="weights/{seed}.pth")
    assert typed(monkeypatch, "run", str(missing.file), "--root", str(tmp_path)) == 1
    assert "weights/0.pth is not there" in capsys.readouterr().err
    assert missing.workspace.active() is None


def test_a_start_that_trained_something_leaves_its_round_active(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(RunError), bench.workspace.activated(bench.round, bench.file):
        bench.end(f"{PURE}/0", "stopped")
        raise RunError("as by an interruption")
    assert (bench.workspace.active() or {}).get("round") == "tiny"


def test_teachers_are_found_from_the_round_file_before_there_is_a_workspace(tmp_path: Path) -> None:
    home = Bench(tmp_path / "home")
    home.finish(f"{TEACHER}/0", 90.0)
    file = Bench(tmp_path / "next", teachers_from="../../home").file
    workspace, round_, _ = open_round(tmp_path / "not" / "made" / "yet", str(file))
    assert workspace.teachers(round_) == home.workspace.experiments
    teachers = {
        cell.teacher.name
        for cell in survey_round(workspace, round_, "seed=0").cells
        if cell.teacher
    }
    assert teachers == {"done"}
    assert not workspace.root.exists()


def test_files_of_teachers_are_found_from_the_round_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path, teachers_from="w/{seed}.pth")
    near = Workspace(tmp_path / "far", bench.file.parent).near("w/0.pth")
    assert near[0] == bench.file.parent / "w" / "0.pth"


def test_an_unknown_dataset_or_model_points_to_custom_components(tmp_path: Path) -> None:
    for field in ("datasets", "students", "methods"):
        with pytest.raises(ConfigError) as caught:
            Bench(tmp_path / field, **{field: ["mine"]})
        assert "files:" in str(caught.value)


def test_weights_that_are_gone_are_no_change_of_a_run(tmp_path: Path) -> None:
    """An archive has the round file, but not the weights from which a student started."""
    weights = tmp_path / "rounds" / "w.pth"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    student = {"name": "ResNetBaby", "weights": "w.pth"}
    changes: dict[str, Any] = {"students": [student], "methods": ["pure"], "seeds": [0]}
    bench = Bench(tmp_path, **changes)
    bench.finish(f"{PURE}/0", 80.0)
    weights.unlink()
    assert list(changed_runs(Bench(tmp_path, **changes).look().cells)) == []
    weights.write_bytes(b"others")
    ((_, fields),) = changed_runs(Bench(tmp_path, **changes).look().cells)
    assert [field for field, *_ in fields] == ["networks.ResNetBaby.sha256"]
