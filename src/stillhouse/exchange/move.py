"""Move a folder so that a crash at any moment loses nothing, also to another file system."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from stillhouse.errors import RunError
from stillhouse.exchange.manifest import files_below
from stillhouse.runs.files import blamed_on, file_hash, sync_folder

Rename = Callable[[Path, Path], None]


def move_folder(source: Path, target: Path, rename: Rename = os.rename) -> None:
    """Move `source` to `target`, which must not exist. Repeat it after a crash: it goes on.

    On one file system this is one rename. Across two, the folder is copied to `.NAME.partial`,
    every copy is read back and compared by SHA-256, the copy is renamed, and only then is the
    source deleted. Raises RunError if both exist and differ, or if neither does.
    """
    if target.exists():
        _finish(source, target)
        return
    if not source.exists():
        raise RunError(f"neither {source} nor {target} exists", "restore one of them")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        rename(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def digests_of(folder: Path) -> dict[str, str]:
    """Every file below a folder with its SHA-256."""
    return {name: file_hash(folder / name) for name in files_below(folder)}


def _finish(source: Path, target: Path) -> None:
    """Delete what is left of the source, if the target holds all of it."""
    if not source.exists():
        return
    kept = digests_of(target)
    if lost := [name for name, digest in digests_of(source).items() if kept.get(name) != digest]:
        raise RunError(
            f"both {source} and {target} exist and differ, first in {lost[0]}",
            "move one of them away",
        )
    shutil.rmtree(source)
    sync_folder(source.parent)


def _copy(source: Path, target: Path) -> None:
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        shutil.copytree(source, partial)
        _sync_tree(partial)
        _refuse_other_bytes(digests_of(source), partial)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    os.rename(partial, target)
    sync_folder(target.parent)
    shutil.rmtree(source)


def _refuse_other_bytes(expected: Mapping[str, str], copy: Path) -> None:
    found = digests_of(copy)
    if wrong := sorted(name for name in expected if found.get(name) != expected[name]):
        raise RunError(
            f"{copy / wrong[0]} differs from the file it was copied from",
            "nothing was deleted; check the disk and repeat the command",
        )


def _sync_tree(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            sync_folder(path)
        else:
            with blamed_on(path), path.open("rb") as file:
                os.fsync(file.fileno())
