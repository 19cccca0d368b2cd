from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from stillhouse.runs.claim import Claim
from stillhouse.show.progress import Progress
from workbench import LOGIT, RKD, TEACHER, Bench


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def progress(log: io.StringIO) -> Progress:
    return Progress(Console(file=log))


def train(bench: Bench, path: str, accuracies: list[float]) -> None:
    """Write what a run that has finished some epochs has on disk."""
    record(bench.begin(path), accuracies)


def record(claim: Claim, accuracies: list[float]) -> None:
    lines = [
        json.dumps({"epoch": epoch, "test": {"accuracy": accuracy}, "time": {"seconds": 1}}) + "\n"
        for epoch, accuracy in enumerate(accuracies, start=1)
    ]
    claim.attempt.metrics.write_text("".join(lines))
    claim.write_status("running", epoch=len(accuracies), step=0)


def test_every_epoch_has_its_line_in_a_log(
    bench: Bench, progress: Progress, log: io.StringIO
) -> None:
    """Also if several ended between two looks."""
    progress.update(bench.look())
    train(bench, f"{TEACHER}/0", [50.0, 60.0])
    progress.update(bench.look())
    progress.update(bench.look())
    lines = [line.split(" (about")[0] for line in log.getvalue().splitlines()]
    assert lines == [
        f"{TEACHER}/0: epoch 1/2 test 50.00 %",
        f"{TEACHER}/0: epoch 2/2 test 60.00 %",
    ]
    assert "(about 0:00:0" in log.getvalue()


def test_the_time_left_is_never_negative(
    tmp_path: Path, progress: Progress, log: io.StringIO
) -> None:
    """A run that begins again has fewer epochs than before; what others gain still counts."""
    bench = Bench(tmp_path, training={"epochs": 12})
    first, second = (bench.begin(f"{TEACHER}/{seed}") for seed in (0, 1))
    record(first, [50.0] * 6)
    progress.update(bench.look())
    record(first, [50.0])
    record(second, [60.0] * 2)
    progress.update(bench.look())
    record(second, [60.0] * 14)  # more than the round has now
    progress.update(bench.look())
    lines = log.getvalue().splitlines()
    for epoch, line in ((2, lines[0]), (12, lines[-1])):
        assert re.fullmatch(rf".*/1: epoch {epoch}/12 .* % \(about \d+:\d\d:\d\d left\)", line)


def test_damaged_records_of_one_run_do_not_end_the_round(
    bench: Bench, progress: Progress, log: io.StringIO
) -> None:
    progress.update(bench.look())
    train(bench, f"{TEACHER}/0", [50.0, 60.0])
    metrics = bench.folder(f"{TEACHER}/0").attempts()[-1].metrics
    metrics.write_bytes(metrics.read_bytes()[10:])
    train(bench, f"{TEACHER}/1", [70.0])
    progress.update(bench.look())
    first, _, second = log.getvalue().splitlines()
    assert first.startswith(f"{TEACHER}/0: {metrics}:1: not a JSON record")
    assert second.startswith(f"{TEACHER}/1: epoch 1/2 test 70.00 %")


def test_an_absurd_epoch_of_one_run_does_not_end_the_round(
    bench: Bench, progress: Progress, log: io.StringIO
) -> None:
    progress.update(bench.look())
    bench.begin(f"{TEACHER}/0").write_status("running", epoch=10**400, step=0)
    progress.update(bench.look())
    assert bench.look().cells[0].state.name == "unreadable"
    progress.update(bench.look())
    (line,) = log.getvalue().splitlines()
    assert line.startswith(f"{TEACHER}/0: UNREADABLE: ") and "the field 'epoch'" in line


def test_a_failure_is_told_once_and_again_if_it_is_tried_again(
    bench: Bench, progress: Progress, log: io.StringIO
) -> None:
    bench.end(f"{LOGIT}/0", "failed", "of an earlier command")
    progress.update(bench.look())
    bench.end(f"{RKD}/0", "failed", "new")
    progress.update(bench.look())
    progress.update(bench.look())
    assert log.getvalue() == f"{RKD}/0: FAILED: new\n"
    bench.end(f"{LOGIT}/0", "failed", "as before")
    progress.update(bench.look())
    assert log.getvalue().splitlines()[1:] == [f"{LOGIT}/0: FAILED: as before"]
