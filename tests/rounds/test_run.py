"""Whole rounds with real processes: finished, killed, stopped, doubled, failed."""

from __future__ import annotations

import os
import pty
import random
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from real_rounds import LIMIT, RECIPE, Desk, kill_group, wait_until
from small_datasets import write_cifar
from stillhouse.cli.main import app
from stillhouse.config.resolve import resolve
from stillhouse.rounds.local import Local
from stillhouse.show.results import seed_tables
from stillhouse.show.status import status_table
from stillhouse.training.cohort import open_cohort
from stillhouse.training.reopen import Place

pytestmark = pytest.mark.slow
PAIR = "ResNetBaby_to_ResNetBaby"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Desk, Any]:
    """An undisturbed round, and how its command ended."""
    desk = Desk(tmp_path_factory.mktemp("first"))
    return desk, desk.run("--jobs", "2")


def test_one_command_trains_a_whole_round(first: tuple[Desk, Any]) -> None:
    desk, done = first
    assert (done.returncode, done.stderr) == (0, "")
    assert Counter(desk.states().values()) == {"done": 6}
    lines = done.stdout.splitlines()
    assert lines[-2].startswith("6 of 6 runs done")
    assert lines[-1] == f"next: stillhouse table {desk.file} --root {desk.workspace.root}"
    assert any("epoch 12/12: " in line and "test accuracy" in line for line in lines)
    (table,) = seed_tables(desk.look(), "final")
    assert [row[0] for row in table.rows] == ["Teacher (ResNetBaby)", "Logit KD", "RKD"]
    assert all(None not in row and row[-1] == "2/2" for row in table.rows)


def test_a_profiled_round_shows_where_the_time_went(
    first: tuple[Desk, Any], tmp_path: Path
) -> None:
    """And its weights are those of the round that was not profiled."""
    desk = Desk(tmp_path)
    done = desk.run("--jobs", "2", "--profile", "--only", "seed=0")
    assert (done.returncode, done.stderr) == (0, "")
    shown = done.stdout.partition("Where ")[2].splitlines()
    for part in ("data", "teacher", "student forward", "backward", "evaluation", "records"):
        (line,) = [line for line in shown if line.startswith(f"{part} ")]
        assert float(line.removeprefix(part).split()[0]) < 100
    trained = [cell for cell in desk.look().cells if cell.state.name == "done"]
    assert len(trained) == 3
    for cell in trained:
        (same,) = [one for one in first[0].look().cells if one.path == cell.path]
        assert cell.state.result and same.state.result
        assert cell.state.result["weights"] == same.state.result["weights"]


def test_running_it_again_does_nothing(first: tuple[Desk, Any]) -> None:
    desk, _ = first
    files = [path for path in desk.workspace.experiments.rglob("*") if path.name != "round.json"]
    before = {path: path.stat().st_mtime_ns for path in files}
    again = CliRunner().invoke(app, desk.command("--jobs", "2")[3:])
    assert again.exit_code == 0
    assert again.stdout.startswith("6 of 6 runs done")
    assert {path: path.stat().st_mtime_ns for path in files} == before


def test_a_finished_run_is_not_trained_again(first: tuple[Desk, Any]) -> None:
    """A worker that starts late, as the second of two commands may start one, leaves it alone."""
    desk, _ = first
    cell, attempts = desk.look().cells[0], desk.attempts()
    experiments = desk.workspace.experiments
    place = Place(experiments, experiments, desk.workspace.root, torch.device("cpu"))
    open_cohort([resolve(cell.config)], place, lambda complaint: None)
    assert (cell.state.name, desk.attempts()) == ("done", attempts)


def test_a_round_killed_again_and_again_ends_as_if_never_killed(
    first: tuple[Desk, Any], tmp_path: Path
) -> None:
    """Killed once a run has begun, then twice once a run has finished an epoch."""
    desk, dice = Desk(tmp_path, seeds=[0]), random.Random()
    for sign in ("attempts/*/claim.json", "attempts/*/checkpoint.pt", "attempts/*/checkpoint.pt"):
        before = desk.found(sign)
        with desk.started("--jobs", "2") as process:
            wait_until(lambda: desk.found(sign) - before, f"there is a new {sign}")  # noqa: B023
            time.sleep(dice.uniform(0, 0.2))
            kill_group(process)
        wait_until(lambda: "running" not in desk.states().values(), "the killed are gone")
    finished = desk.run("--jobs", "2")
    assert finished.returncode == 0, finished.stdout
    logs = [path.read_text() for path in desk.found("attempts/*/train.log")]
    assert any(re.search(r"starts at epoch [1-9]", log) for log in logs), "nothing was resumed"
    assert desk.outcomes() == first[0].outcomes_of(desk)


def test_ctrl_c_and_a_closed_terminal_stop_cleanly_and_a_later_run_completes(
    first: tuple[Desk, Any], tmp_path: Path
) -> None:
    """Told to the parent alone, as by `kill -INT`: it passes it on to its workers."""
    desk = Desk(tmp_path, methods=["pure"], seeds=[0])
    for number in (signal.SIGINT, signal.SIGHUP):
        text = stopped_by(desk, number)
        assert text.splitlines()[-2].startswith("0 of 1 runs done")
        assert text.splitlines()[-1].startswith("next: stillhouse status")
        (cell,) = desk.look().cells
        assert (cell.state.name, cell.state.reason) == ("stopped", "received SIGTERM")
    assert desk.run().returncode == 0
    assert desk.attempts() == 3
    assert desk.outcomes() == first[0].outcomes_of(desk)


def stopped_by(desk: Desk, number: signal.Signals) -> str:
    """What the command prints that a signal stops once a run is in training."""
    before = signal.signal(number, signal.SIG_DFL)  # the tests may run under `nohup`
    try:
        with desk.started() as process:
            signal.signal(number, before)
            wait_until(lambda: "running" in desk.states().values(), "the run starts")
            process.send_signal(number)
            text, _ = process.communicate(timeout=LIMIT)
    finally:
        signal.signal(number, before)
    assert process.returncode == 1
    return text


def test_a_terminal_changes_no_bit(first: tuple[Desk, Any], tmp_path: Path) -> None:
    desk = Desk(tmp_path, methods=["pure"], seeds=[0])
    screen, terminal = pty.openpty()
    drain = threading.Thread(target=read_all, args=[screen])
    drain.start()
    done = subprocess.run(
        desk.command("--jobs", "1"), stdout=terminal, stderr=terminal, check=False
    )
    os.close(terminal)
    drain.join()
    assert done.returncode == 0
    assert desk.outcomes() == first[0].outcomes_of(desk)


def read_all(screen: int) -> None:
    """Read what is shown until the terminal is closed, which Linux reports as an error."""
    with suppress(OSError):
        while os.read(screen, 1 << 16):
            pass
    os.close(screen)


def test_workers_stop_by_themselves_when_their_parent_is_killed(tmp_path: Path) -> None:
    long = RECIPE | {"epochs": 10_000}
    desk = Desk(tmp_path, methods=["pure"], seeds=[0, 1], training=long)
    with desk.started("--jobs", "2") as process:
        wait_until(lambda: set(desk.states().values()) == {"running"}, "both runs start")
        process.kill()
        wait_until(lambda: set(desk.states().values()) == {"stopped"}, "both have stopped")
    reasons = {cell.state.reason for cell in desk.look().cells}
    assert reasons == {"the process that started this one is gone"}


def test_two_commands_at_once_train_no_run_twice(first: tuple[Desk, Any], tmp_path: Path) -> None:
    desk = Desk(tmp_path, methods=["pure"])
    with desk.started("--jobs", "1") as one, desk.started("--jobs", "1") as two:
        said = [process.communicate(timeout=LIMIT)[0] for process in (one, two)]
    assert (one.returncode, two.returncode) == (0, 0), said
    assert desk.attempts() == 2
    assert desk.outcomes() == first[0].outcomes_of(desk)


def test_a_command_beside_one_that_holds_everything_waits_and_takes_over(
    first: tuple[Desk, Any], tmp_path: Path
) -> None:
    desk = Desk(tmp_path, methods=["pure"], seeds=[0])
    with desk.started() as one:
        wait_until(lambda: set(desk.states().values()) == {"running"}, "the run starts")
        os.killpg(one.pid, signal.SIGSTOP)  # alive, and not done before the other looks
        with desk.started() as two:
            assert two.stdout is not None
            line = two.stdout.readline()
            assert "1 runs are held by others, as Digits/pure/ResNetBaby/0 by process" in line
            assert "waiting for them" in line
            kill_group(one)
            two.communicate(timeout=LIMIT)
            assert two.returncode == 0
    assert desk.outcomes() == first[0].outcomes_of(desk)


def test_a_run_that_fails_says_why_and_the_others_complete(
    first: tuple[Desk, Any], tmp_path: Path
) -> None:
    desk = Desk(tmp_path, seeds=[0], overrides={"methods": {"rkd": {"learning_rate": 1e30}}})
    done = desk.run("--jobs", "1")
    path = f"Digits/rkd/{PAIR}/0"
    assert done.returncode == 1
    assert f"{path}: FAILED: " in done.stdout
    assert done.stdout.splitlines()[-1].startswith("next: stillhouse status")
    assert Counter(desk.states().values()) == {"done": 2, "failed": 1}
    (note,) = status_table(desk.look()).notes
    assert note.startswith(f"{path}: failed: ")
    assert "not finite at epoch 0 step" in note
    (table,) = seed_tables(desk.look(), "final")
    rkd = next(row for row in table.rows if row[0] == "RKD")
    assert rkd == ("RKD", "FAILED", None, "0/1")
    assert any(
        line.startswith(path) and "not finite" in line for line in (*table.notes, *table.details)
    )
    others = {f"Digits/logit/{PAIR}/0", "Digits/pure/ResNetBaby/0"}
    assert desk.outcomes() == {k: v for k, v in first[0].outcomes().items() if k in others}


def test_a_round_that_stays_at_chance_is_no_failure(tmp_path: Path) -> None:
    recipe = {**RECIPE, "epochs": 1, "learning_rate": 1e-9, "warmup_epochs": 0}
    desk = Desk(tmp_path, methods=["pure"], seeds=[0], training=recipe)
    done = CliRunner().invoke(app, desk.command()[3:])
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert any(line.startswith("1 of 1 runs trained to the end") for line in lines)
    assert "1 of them are not above chance and count in no table:" in lines
    assert lines[-1] == f"next: stillhouse doctor {desk.file} --root {desk.workspace.root}"


def test_images_are_decoded_before_the_workers_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink: Any
) -> None:
    write_cifar("Cifar10", tmp_path, monkeypatch, shrink)
    seen: list[bool] = []

    def launch(*_: Any) -> bool:
        seen.append(kept.is_file())
        return False

    monkeypatch.setattr(Local, "_launch", launch)
    kept = tmp_path / "Cifar10.safetensors"
    recipe = {**RECIPE, "batch_size": 4, "train_images": 16}
    desk = Desk(tmp_path / "w", datasets=["Cifar10"], methods=["pure"], seeds=[0], training=recipe)
    words = ["run", str(desk.file), "--root", str(desk.workspace.root)]
    result = CliRunner().invoke(app, [*words, "--data-root", str(tmp_path)])
    assert result.stdout.startswith("Cifar10: decoding its images, once")
    assert seen == [True]
