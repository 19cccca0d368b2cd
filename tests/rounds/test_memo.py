"""Nothing that a command shows may depend on what was kept: only how long it takes."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, RKD, Bench, edit
from stillhouse.rounds import survey as surveys
from stillhouse.rounds.memo import remembered
from stillhouse.rounds.survey import Watched
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.state import RunState
from stillhouse.tables import Table


@pytest.fixture
def finished(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A round whose runs were finished a minute ago."""
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "cache"))
    bench.finish_all([90.0, 91.0, 80.0, 81.0, 82.0, 83.0, 84.0, 85.0])
    age(bench)
    return bench


def age(bench: Bench) -> None:
    """Let every file be a minute old."""
    then = time.time() - 60
    for file in bench.workspace.experiments.rglob("*"):
        os.utime(file, (then, then))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders whose files were read."""
    found: list[str] = []
    state_of = surveys.state_of

    def noted(folder: object, now: float | None = None) -> object:
        found.append(str(getattr(folder, "path", "")))
        return state_of(folder, now)  # type: ignore[arg-type]

    monkeypatch.setattr(surveys, "state_of", noted)
    return found


def test_a_second_survey_reads_no_finished_run_and_says_the_same(
    finished: Bench, reads: list[str]
) -> None:
    first = finished.look()
    assert len(reads) == 8
    second = finished.look()
    assert len(reads) == 8
    assert second == first
    assert [cell.was for cell in second.cells] == [cell.was for cell in first.cells]


def test_no_cycles_are_searched_for_while_thousands_of_runs_are_read(
    finished: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused: list[bool] = []
    state_of = surveys.state_of

    def noted(folder: RunFolder, now: float | None = None) -> RunState:
        paused.append(not gc.isenabled())
        return state_of(folder, now)

    monkeypatch.setattr(surveys, "state_of", noted)
    finished.look()
    assert paused == [True] * 8 and gc.isenabled()


@pytest.mark.parametrize("file", ["result.json", "run.json"])
def test_a_run_that_was_damaged_since_is_unreadable(finished: Bench, file: str) -> None:
    finished.look()
    (finished.folder(f"{LOGIT}/0").path / file).write_text("{")
    states = {cell.config.path: cell.state.name for cell in finished.look().cells}
    assert states.pop(f"{LOGIT}/0") == "unreadable"
    assert set(states.values()) == {"done"}


def test_a_changed_result_and_a_removed_run_are_seen(finished: Bench) -> None:
    finished.look()
    edit(
        finished.folder(f"{PURE}/0").result,
        lambda result: result["final"]["test"].update(accuracy=70.0),
    )
    finished.folder(f"{RKD}/1").result.unlink()
    found = {cell.config.path: cell.state for cell in finished.look().cells}
    result = found[f"{PURE}/0"].result
    assert result is not None and result["final"]["test"]["accuracy"] == 70.0
    assert found[f"{RKD}/1"].name == "lost"


def test_a_watched_round_is_read_where_it_changes(bench: Bench, reads: list[str]) -> None:
    bench.finish(f"{PURE}/0", 80.0)
    watched = Watched(bench.workspace, bench.round)
    assert watched.look().count("done") == 1
    reads.clear()
    bench.finish(f"{PURE}/1", 81.0)
    assert watched.look().count("done") == 2
    assert str(bench.folder(f"{PURE}/0").path) not in reads
    assert str(bench.folder(f"{PURE}/1").path) in reads


@pytest.fixture
def counted() -> tuple[list[int], Callable[[], list[Table]]]:
    calls: list[int] = []

    def compute() -> list[Table]:
        calls.append(1)
        table = Table(
            f"{len(calls)}", ("a", "b"), ((1, 0.1), (None, "x")), bold=frozenset({(0, 1)})
        )
        return [table]

    return calls, compute


def test_a_result_is_kept_whole_until_a_file_or_an_option_changes(
    finished: Bench, counted: tuple[list[int], Callable[[], list[Table]]]
) -> None:
    calls, compute = counted

    def ask(option: str = "final") -> list[Table]:
        return remembered("test", finished.look(), list[Table], compute, [option])

    first = ask()
    assert ask() == first and len(calls) == 1
    ask("best")
    ask()
    assert len(calls) == 3
    metrics = finished.folder(f"{RKD}/0").path / "metrics.jsonl"
    metrics.write_bytes(metrics.read_bytes() + b"\n")
    age(finished)
    ask()
    assert len(calls) == 4


def test_nothing_is_kept_while_a_run_trains(
    bench: Bench, counted: tuple[list[int], Callable[[], list[Table]]]
) -> None:
    calls, compute = counted
    bench.begin(f"{PURE}/0")
    age(bench)
    for _ in range(2):
        remembered("test", bench.look(), list[Table], compute)
    assert len(calls) == 2
