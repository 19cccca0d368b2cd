from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from rich.console import Console

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.runs.claim import Claim
from stillhouse.show.progress import Progress, ShareProgress, short_names


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def progress(log: io.StringIO, clock: Clock) -> Progress:
    return Progress(Console(file=log), clock=clock)


def of_runs(log: io.StringIO) -> list[str]:
    """The lines on single runs; the others are on the round."""
    return [line for line in log.getvalue().splitlines() if line.startswith("Digits/")]


def of_the_round(log: io.StringIO) -> list[str]:
    return [line for line in log.getvalue().splitlines() if line.startswith("round ")]


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
    first, second = of_runs(log)
    assert first.startswith(f"{TEACHER}/0: epoch 1/2") and "50.00 %" in first
    assert second.startswith(f"{TEACHER}/0: epoch 2/2") and "60.00 %" in second


def test_the_round_is_summed_up_at_once_and_with_the_time_left_later(
    bench: Bench, progress: Progress, log: io.StringIO, clock: Clock
) -> None:
    progress.update(bench.look())
    assert "0 of 8 runs done" in of_the_round(log)[0]
    clock.now = 60.0
    train(bench, f"{TEACHER}/0", [50.0, 60.0])
    progress.update(bench.look())
    # One of eight equal runs took a minute, so seven minutes are left; 200 images make 3 batches.
    assert "about 7 min left" in of_the_round(log)[-1]
    assert f"{2 * 3 * 64 / 60:.0f} images/s" in of_the_round(log)[-1]


def test_the_time_left_counts_what_each_run_costs(
    bench: Bench, log: io.StringIO, clock: Clock
) -> None:
    work = {run: 6.0 if run.startswith(TEACHER) else 1.0 for run in bench.runs}
    progress = Progress(Console(file=log), work, clock)
    progress.update(bench.look())
    clock.now = 60.0
    train(bench, f"{TEACHER}/0", [50.0, 60.0])
    progress.update(bench.look())
    assert "about 2 min left" in of_the_round(log)[-1]  # 12 of 18 units, 6 of them in a minute


def test_runs_that_failed_and_their_students_are_not_waited_for(
    bench: Bench, progress: Progress, log: io.StringIO, clock: Clock
) -> None:
    progress.update(bench.look())
    clock.now = 60.0
    bench.end(f"{TEACHER}/1", "failed", "out of memory")
    train(bench, f"{TEACHER}/0", [50.0, 60.0])
    progress.update(bench.look())
    # Three epochs took a minute. Left are eight: of two pure students and of two of seed 0.
    assert "1 failed" in of_the_round(log)[-1]
    assert "about 3 min left" in of_the_round(log)[-1]


def test_the_time_left_is_never_negative(
    tmp_path: Path, progress: Progress, log: io.StringIO, clock: Clock
) -> None:
    """A run that begins again has fewer epochs than before; what others gain still counts."""
    bench = Bench(tmp_path, training={"epochs": 12})
    first, second = (bench.begin(f"{TEACHER}/{seed}") for seed in (0, 1))
    record(first, [50.0] * 6)
    progress.update(bench.look())
    for accuracies in ([60.0] * 2, [60.0] * 14):  # more than the round has now
        clock.now += 60
        record(first, [50.0])
        record(second, accuracies)
        progress.update(bench.look())
    lines = [line for line in of_runs(log) if "/1: " in line]
    assert [line.split()[2] for line in lines] == [f"{n}/12:" for n in range(2, 13)]
    assert all(re.search(r"about [\d.]+ (s|min|h) left", line) for line in of_the_round(log)[1:])


def test_a_long_epoch_moves(
    bench: Bench, progress: Progress, log: io.StringIO, clock: Clock
) -> None:
    """The first figures at once, then again after a quiet while, within one epoch."""
    claim = bench.begin(f"{TEACHER}/0")
    for step, loss in ((0, None), (1, 2.25), (2, 1.5)):
        facts = {} if loss is None else {"loss": loss, "accuracy": 40.0}
        claim.write_status("running", epoch=1, step=step, steps=3, **facts)
        progress.update(bench.look())
        progress.update(bench.look())
        clock.now += 100
    first, second = of_runs(log)
    assert all(word in first for word in ("epoch 2/2", "step 1/3", "2.250", "40.0 %"))
    assert all(word in second for word in ("epoch 2/2", "step 2/3", "1.500"))
    assert "images/s" in second


def test_a_finished_run_is_reported_with_its_best_epoch(
    bench: Bench, progress: Progress, log: io.StringIO
) -> None:
    progress.update(bench.look())
    bench.finish(f"{TEACHER}/0", 90.0, best=95.0)
    progress.update(bench.look())
    progress.update(bench.look())
    (line,) = [line for line in of_runs(log) if "done" in line]
    assert "90.00 %" in line and "95.00 %" in line and "epoch 1" in line


@pytest.mark.parametrize("width", [80, 100])
def test_a_terminal_shows_all_that_a_pipe_shows_and_what_runs_now(
    bench: Bench, log: io.StringIO, clock: Clock, width: int
) -> None:
    screen = io.StringIO()
    shown = Console(file=screen, force_terminal=True, width=width, height=24, no_color=True)
    with Progress(Console(file=log), clock=clock) as piped, Progress(shown, clock=clock) as live:
        for progress in (piped, live):
            progress.update(bench.look())
        train(bench, f"{TEACHER}/0", [50.0])
        claim = bench.begin(f"{TEACHER}/1")
        claim.write_status("running", epoch=1, step=2, steps=3, loss=0.5, accuracy=87.5)
        bench.begin(f"{PURE}/0").write_status("running", doing="pretraining 35%")
        clock.now = 60.0
        for progress in (piped, live):
            progress.update(bench.look())
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    lines = text.replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= width
    names = short_names(bench.look())
    for line in of_runs(log):
        path, _, told = line.partition(": ")
        assert f"{names[path]}: {told}" in lines
    row = [line for line in lines if line.startswith("pure/ResNet20/1")][-1]
    assert all(word in row for word in ("2/2", "0.500", "87.5 %"))
    assert any(line.startswith("pure/ResNetBaby/0") and "pretraining 35%" in line for line in lines)
    (left,) = re.findall(r"about .* left", of_the_round(log)[-1])
    assert any("0 of 8 runs done, 3 running" in line for line in lines) and left in text


def test_more_runs_than_lines_are_counted(tmp_path: Path, clock: Clock) -> None:
    bench, screen = Bench(tmp_path, seeds=list(range(9))), io.StringIO()
    for path in bench.runs:
        bench.begin(path)
    with Progress(Console(file=screen, force_terminal=True, width=80, height=12), clock=clock) as p:
        p.update(bench.look())
    assert f"and {len(bench.runs) - 7} more" in screen.getvalue()


def test_names_are_as_short_as_they_can_be(tmp_path: Path) -> None:
    one, several = Bench(tmp_path / "a"), Bench(tmp_path / "b", students=["ResNetBaby", "ResNet56"])
    assert short_names(one.look())[f"{LOGIT}/0"] == "logit/0"
    assert short_names(one.look())[f"{PURE}/0"] == "pure/ResNetBaby/0"
    names = short_names(several.look())
    assert names[f"{LOGIT}/0"] == "logit/ResNet20_to_ResNetBaby/0"
    assert len({*names.values()}) == len(names)


def test_damaged_records_of_one_run_do_not_end_the_round(
    bench: Bench, progress: Progress, log: io.StringIO
) -> None:
    progress.update(bench.look())
    train(bench, f"{TEACHER}/0", [50.0, 60.0])
    metrics = bench.folder(f"{TEACHER}/0").attempts()[-1].metrics
    metrics.write_bytes(metrics.read_bytes()[10:])
    train(bench, f"{TEACHER}/1", [70.0])
    progress.update(bench.look())
    first, _, second = (line for line in log.getvalue().splitlines() if "round tiny" not in line)
    assert first.startswith(f"{TEACHER}/0: {metrics}:1: not a JSON record")
    assert second.startswith(f"{TEACHER}/1: epoch 1/2") and "70.00 %" in second


def test_an_absurd_epoch_of_one_run_does_not_end_the_round(
    bench: Bench, progress: Progress, log: io.StringIO
) -> None:
    progress.update(bench.look())
    bench.begin(f"{TEACHER}/0").write_status("running", epoch=10**400, step=0)
    progress.update(bench.look())
    assert bench.look().cells[0].state.name == "unreadable"
    progress.update(bench.look())
    (line,) = of_runs(log)
    assert line.startswith(f"{TEACHER}/0: UNREADABLE: ") and "the field 'epoch'" in line


def test_a_failure_is_told_once_and_again_if_it_is_tried_again(
    bench: Bench, progress: Progress, log: io.StringIO
) -> None:
    bench.end(f"{LOGIT}/0", "failed", "of an earlier command")
    progress.update(bench.look())
    bench.end(f"{RKD}/0", "failed", "new")
    progress.update(bench.look())
    progress.update(bench.look())
    assert of_runs(log) == [f"{RKD}/0: FAILED: new"]
    bench.end(f"{LOGIT}/0", "failed", "as before")
    progress.update(bench.look())
    assert of_runs(log)[1:] == [f"{LOGIT}/0: FAILED: as before"]


def test_a_share_is_logged_only_when_it_has_grown(clock: Clock) -> None:
    lines: list[str] = []
    progress = ShareProgress(lines.append, clock)
    for done in (10, 300, 301, 996, 998):
        clock.now += 20
        progress("Digits", done, 1000)
    assert [line.partition(" of all")[0] for line in lines] == [
        f"Digits: {share} %" for share in (1, 30, 99)
    ]


def test_the_plans_time_stands_until_a_pace_is_known(
    bench: Bench, log: io.StringIO, clock: Clock
) -> None:
    Progress(Console(file=log), clock=clock, expected=7200.0).update(bench.look())
    assert "about 2.0 h left" in of_the_round(log)[0]
