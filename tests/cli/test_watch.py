"""A round is followed until it is trained, or until the watcher leaves."""

from __future__ import annotations

import time
from typing import Any

import pytest
from typer.testing import CliRunner

from fake_rounds import TEACHER, Bench
from stillhouse.cli.main import app


def watch(bench: Bench) -> Any:
    return CliRunner().invoke(
        app, ["watch", "tiny", "--root", str(bench.workspace.root), "--every", "0.2"]
    )


@pytest.fixture
def active(bench: Bench) -> Bench:
    bench.workspace.activate(bench.round, bench.file)
    return bench


def test_it_ends_with_the_round(active: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = iter(active.runs)
    active.finish(next(paths), 90.0)
    monkeypatch.setattr(time, "sleep", lambda _: active.finish(next(paths), 91.0))
    done = watch(active)
    assert done.exit_code == 0
    assert "8 of 8 runs done" in done.output
    assert "next: stillhouse table tiny" in done.output


def test_it_is_left_without_an_error(active: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def leave(_: float) -> None:
        raise KeyboardInterrupt

    active.end(f"{TEACHER}/1", "failed", "the loss is not finite")
    monkeypatch.setattr(time, "sleep", leave)
    done = watch(active)
    assert done.exit_code == 0
    assert "3 of 8 runs done" in done.output
