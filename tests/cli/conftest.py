"""A small round on paper, and a command line in its workspace."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, TEACHER, Answer, Bench
from stillhouse.cli.main import main


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A round without method parameters whose runs of seed 0 are done."""
    bench = Bench(tmp_path / "bench")
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{PURE}/0", 80.0)
    bench.finish(f"{LOGIT}/0", 81.0)
    return bench


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], bench: Bench
) -> Callable[..., Answer]:
    """Type a command in the workspace; what it answered."""
    monkeypatch.chdir(bench.workspace.root)

    def typed(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["stillhouse", *words])
        with pytest.raises(SystemExit) as exited:
            main()
        out, err = capsys.readouterr()
        code = exited.value.code or 0
        assert isinstance(code, int)
        return Answer(code, out, err)

    return typed
