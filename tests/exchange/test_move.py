"""A folder that is moved, stopped at every moment, is lost at none."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stillhouse.errors import RunError
from stillhouse.exchange import move
from stillhouse.exchange.manifest import files_below
from stillhouse.exchange.move import digests_of, move_folder

FILES = {"round.json": b"{}", "a/0/run.json": b"1", "a/0/final.safetensors": bytes(5000)}


class Crash(BaseException):
    """The end of the process."""


def other_disk(source: Path, target: Path) -> None:
    """What `os.rename` does between two file systems."""
    raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name, content in FILES.items():
        file = tmp_path / "experiments" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path / "experiments"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "analysis" / "x" / "experiments"


@pytest.fixture(params=[os.rename, other_disk], ids=["one disk", "two disks"])
def rename(request: pytest.FixtureRequest) -> Callable[[Path, Path], None]:
    found: Callable[[Path, Path], None] = request.param
    return found


def crashing(monkeypatch: pytest.MonkeyPatch, at: int) -> Iterator[int]:
    """Crash before the call `at` of anything that changes the disk."""
    calls = iter(range(10**6))

    def wrapped(call: Callable[..., Any]) -> Callable[..., Any]:
        def stopped(*args: Any, **options: Any) -> Any:
            if next(calls) == at:
                raise Crash
            return call(*args, **options)

        return stopped

    for module, name in (
        (os, "rename"), (os, "fsync"), (os, "unlink"), (os, "rmdir"), (os, "mkdir"),
        (shutil, "copyfile"), (shutil, "rmtree"),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, wrapped(getattr(module, name)))
    yield at


def test_it_arrives_whole(source: Path, target: Path, rename: Callable[[Path, Path], None]) -> None:
    before = digests_of(source)
    move_folder(source, target, rename)
    assert digests_of(target) == before
    assert not source.exists()
    assert [path.name for path in target.parent.iterdir()] == ["experiments"]


@pytest.mark.parametrize("at", range(60))
def test_a_crash_at_any_moment_loses_nothing(
    source: Path,
    target: Path,
    rename: Callable[[Path, Path], None],
    monkeypatch: pytest.MonkeyPatch,
    at: int,
) -> None:
    before = digests_of(source)
    with monkeypatch.context() as faulty:
        list(crashing(faulty, at))
        try:
            move_folder(source, target, rename)
        except Crash:
            whole = [one for one in (source, target) if one.exists() and digests_of(one) == before]
            assert whole, "neither folder holds everything"
    move_folder(source, target, rename)
    assert digests_of(target) == before
    assert not source.exists()


def test_a_copy_with_other_bytes_deletes_nothing(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(folder: Path) -> None:
        (folder / "a" / "0" / "run.json").write_bytes(b"bad")

    monkeypatch.setattr(move, "_sync_tree", spoil)
    with pytest.raises(RunError, match="differs from the file it was copied from"):
        move_folder(source, target, other_disk)
    assert set(files_below(source)) == set(FILES)
    assert not target.exists()


def test_a_full_disk_leaves_the_source(
    source: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **options: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as faulty:
        faulty.setattr(shutil, "copytree", full)
        with pytest.raises(OSError, match="No space left"):
            move_folder(source, target, other_disk)
    assert set(files_below(source)) == set(FILES)
    assert not target.exists()


def test_two_that_differ_are_refused(source: Path, target: Path) -> None:
    (target / "a" / "0").mkdir(parents=True)
    (target / "a" / "0" / "run.json").write_text("other")
    with pytest.raises(RunError, match="differ"):
        move_folder(source, target)
    assert set(files_below(source)) == set(FILES)


def test_none_of_both_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="neither"):
        move_folder(tmp_path / "a", tmp_path / "b")
