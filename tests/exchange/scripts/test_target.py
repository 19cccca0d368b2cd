"""The workspace that an import writes: whole or not at all, over nothing that was there."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from script_records import ScriptRounds, bring_in, sound_rounds, sound_runs_are_whole
from stillhouse.errors import ConfigError, RunError
from stillhouse.exchange.scripts import write
from stillhouse.exchange.scripts.write import import_round


@pytest.fixture
def scripts(tmp_path: Path) -> ScriptRounds:
    return sound_rounds(tmp_path / "source")


def test_nothing_in_the_target_is_overwritten(scripts: ScriptRounds, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/good.yaml").write_text("mine")
    with pytest.raises(RunError, match="w is not empty"):
        import_round(scripts.root, "good", tmp_path / "w")
    assert (tmp_path / "w/good.yaml").read_text() == "mine"
    with pytest.raises(RunError, match="is a file"):
        import_round(scripts.root, "good", tmp_path / "w/good.yaml")
    with pytest.raises(RunError, match="is inside"):
        import_round(scripts.root, "good", scripts.root / "experiments/new")


def test_the_current_folder_is_not_replaced(
    scripts: ScriptRounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "w").mkdir()
    monkeypatch.chdir(tmp_path / "w")
    with pytest.raises(RunError, match="is the current folder"):
        import_round(scripts.root, "good", Path())


@pytest.mark.parametrize("before", [True, False])
def test_a_target_appears_whole_or_not_at_all(
    scripts: ScriptRounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: bool
) -> None:
    """A full disk leaves what was there: an empty folder, or none."""
    target = tmp_path / "earlier"
    if before:
        target.mkdir()
    listed = sorted(tmp_path.iterdir())
    with monkeypatch.context() as patch:
        patch.setattr(write, "dump_sealed", full_disk)
        with pytest.raises(OSError, match="No space left"):
            bring_in(scripts)
    assert sorted(tmp_path.iterdir()) == listed
    assert not before or not any(target.iterdir())
    sound_runs_are_whole(bring_in(scripts))
    assert sorted(tmp_path.iterdir()) == sorted({*listed, target})


def full_disk(_: object) -> bytes:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_what_a_killed_import_left_is_removed_by_the_next(
    scripts: ScriptRounds, tmp_path: Path
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from stillhouse.runs.process import Process; print(Process.me())"],
        check=True,
        capture_output=True,
        text=True,
    )
    left = tmp_path / f".earlier@{ended.stdout.strip()}@0123abcd.tmp"
    (left / "experiments").mkdir(parents=True)
    bring_in(scripts)
    assert not left.exists()


@pytest.mark.parametrize("name", ["a" * 101, "", "../x", "a\n"])
def test_a_bad_name_is_refused(scripts: ScriptRounds, name: str) -> None:
    with pytest.raises(ConfigError, match="--as"):
        import_round(scripts.root, name, scripts.root.parent / "earlier")
