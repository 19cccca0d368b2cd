"""Runs that are moved aside to be trained anew, and back."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
import yaml

from commands import typed
from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from real_rounds import Desk
from stillhouse.config.load import load_round
from stillhouse.errors import RunError
from stillhouse.rounds.edited import changed_runs
from stillhouse.rounds.find import open_round
from stillhouse.rounds.reset import (
    dependents,
    heaps,
    move_aside,
    move_back,
    purge,
    to_reset,
)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Seed 0: a teacher and a pure student that are done, a failed and a running student."""
    bench = Bench(tmp_path / "bench")
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{PURE}/0", 80.0)
    bench.end(f"{LOGIT}/0", "failed", "the loss is not finite")
    bench.end(f"{RKD}/0", "stopped", "received SIGTERM")
    bench.finish(f"{PURE}/1", 10.0)  # chance: invalid
    return bench


def paths(bench: Bench, named: set[str] | None = None) -> list[str]:
    return [cell.config.path for cell in to_reset(bench.look(), named)]


def test_failed_and_invalid_runs_are_chosen(bench: Bench) -> None:
    assert sorted(paths(bench)) == [f"{LOGIT}/0", f"{PURE}/1"]


def test_named_runs_are_chosen_if_they_have_begun(bench: Bench) -> None:
    assert paths(bench, {f"{PURE}/0", f"{LOGIT}/1"}) == [f"{PURE}/0"]


def test_a_run_that_is_being_trained_is_refused(bench: Bench) -> None:
    bench.begin(f"{TEACHER}/1")
    with pytest.raises(RunError, match="is being trained by") as caught:
        to_reset(bench.look(), {f"{TEACHER}/1"})
    assert "end that process first" in caught.value.hint


def test_students_of_a_teacher_are_named(bench: Bench) -> None:
    seen = bench.look()
    found = dependents(to_reset(seen, {f"{TEACHER}/0"}), seen)
    assert found == {f"{TEACHER}/0": [f"{LOGIT}/0", f"{RKD}/0"]}


def test_moved_aside_and_back_nothing_is_lost(bench: Bench) -> None:
    experiments = bench.workspace.experiments
    before = {p: p.read_bytes() for p in experiments.rglob("*") if p.is_file()}
    heap = move_aside(bench.workspace, "tiny", to_reset(bench.look(), None))
    assert heap.path.parent == experiments / ".trash"
    record = json.loads((heap.path / "reset.json").read_text())
    assert record["format"] == 1
    assert {entry["run"]: entry["state"] for entry in record["runs"]} == {
        f"{LOGIT}/0": "failed",
        f"{PURE}/1": "at chance",
    }
    assert "not finite" in record["runs"][0]["reason"] + record["runs"][1]["reason"]
    states = {cell.config.path: cell.state.name for cell in bench.look().cells}
    assert (states[f"{LOGIT}/0"], states[f"{PURE}/0"]) == ("missing", "done")
    (found,) = heaps(bench.workspace)
    assert found.bytes > 0
    assert sorted(move_back(bench.workspace, found)) == [f"{LOGIT}/0", f"{PURE}/1"]
    assert {p: p.read_bytes() for p in experiments.rglob("*") if p.is_file()} == before
    assert heaps(bench.workspace) == []


def test_a_run_that_was_started_anew_is_not_overwritten(bench: Bench) -> None:
    heap = move_aside(bench.workspace, "tiny", to_reset(bench.look(), None))
    bench.end(f"{LOGIT}/0", "failed")
    with pytest.raises(RunError, match="started anew"):
        move_back(bench.workspace, heap)
    assert len(heap.runs) == 2


def test_purging_deletes_for_good(bench: Bench) -> None:
    heap = move_aside(bench.workspace, "tiny", to_reset(bench.look(), None))
    purge(heaps(bench.workspace))
    assert not heap.path.exists()


def test_runs_with_other_settings_are_found(bench: Bench) -> None:
    edited = yaml.safe_load(bench.file.read_text())
    edited["overrides"] = {"methods": {"logit": {"learning_rate": 0.01}}}
    bench.file.write_text(yaml.safe_dump(edited))
    bench.round = load_round(bench.file)
    ((cell, fields),) = changed_runs(bench.look().cells)
    assert cell.config.path == f"{LOGIT}/0"
    assert fields == [("training.learning_rate", 0.02, 0.01)]


def test_nothing_moves_without_consent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = str(bench.workspace.root)
    assert typed(monkeypatch, "reset", str(bench.file), "--root", root, "--dry-run") == 0
    assert f"{LOGIT}/0" in capsys.readouterr().out
    monkeypatch.setattr("sys.stdin", io.StringIO())  # no terminal
    assert typed(monkeypatch, "reset", str(bench.file), "--root", root) == 2
    assert "--yes" in capsys.readouterr().err
    assert heaps(bench.workspace) == []


def test_a_copy_of_the_round_takes_its_teachers_from_the_old_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = str(bench.workspace.root)
    assert typed(monkeypatch, "reset", str(bench.file), "--root", root, "--as", "second") == 0
    file = bench.file.with_name("second.yaml")
    copy = load_round(file)
    assert (copy.round, copy.compares_to, copy.teachers_from) == ("second", "tiny", "..")
    workspace, loaded, _ = open_round(bench.workspace.root / "new", str(file))
    assert workspace.teachers(loaded).samefile(bench.workspace.experiments)
    assert open_round(bench.workspace.root / "new", str(file))[0].teachers(loaded).is_dir()
    assert typed(monkeypatch, "reset", str(bench.file), "--root", root, "--as", "second") == 1


@pytest.mark.slow
def test_the_way_on_after_a_diverged_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The settings are mended, `run` names the command, and after it the round is trained."""
    hot = {"methods": {"logit": {"learning_rate": 1e18}}}
    desk = Desk(tmp_path, methods=["pure", "logit"], seeds=[0], overrides=hot)
    assert desk.run().returncode == 1
    desk.file.write_text(desk.file.read_text().replace("1.0e+18", "0.02"))
    assert typed(monkeypatch, *desk.command()[3:]) == 1
    refused = capsys.readouterr().err
    command = refused.splitlines()[-1].partition("after: ")[2]
    assert command.startswith("stillhouse reset ")
    assert "learning_rate: 1000000000000000000 -> 0.02" in refused
    assert typed(monkeypatch, *command.split()[1:], "--yes") == 0
    done = desk.run()
    assert done.returncode == 0, done.stderr
    assert set(desk.states().values()) == {"done"}
