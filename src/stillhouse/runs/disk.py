"""The disk space that a workspace holds, by kind. Imports no torch."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

WEIGHTS, RECORDS = "weights", "records"
CHECKPOINTS, REPRESENTATIONS = "checkpoints", "representations"
PARTS = "parts that methods train once per teacher"
WEIGHT_FILES = frozenset({"final", "best", "ema", "method"})
PLACES = {
    "pretrained": PARTS,
    "adopted": "teachers from files",
    "own_files": "custom components",
    ".trash": "runs moved aside by reset",
}


class Size(NamedTuple):
    """Files and their bytes on disk."""

    files: int = 0
    bytes: int = 0

    def add(self, size: int) -> Size:
        """Return the same with one more file."""
        return Size(self.files + 1, self.bytes + size)


def held(root: Path) -> dict[str, Size]:
    """Return what a workspace holds on disk by kind: its runs, and what was written about them."""
    found: dict[str, Size] = {}

    def count(kind: str, path: Path, folder: bool = False) -> None:
        try:
            size = path.lstat().st_blocks * 512
        except FileNotFoundError:  # a worker has just moved it
            return
        before = found.get(kind, Size())
        found[kind] = Size(before.files, before.bytes + size) if folder else before.add(size)

    for top, place in ((root / "experiments", None), (root / "analysis", "reports and tables")):
        _walk(top, count, place)
    return found


def free(root: Path) -> int:
    """Return the bytes that may still be written where a workspace lies, as the system says."""
    path = root.resolve()
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def _walk(top: Path, count: Callable[..., None], place: str | None) -> None:
    """Count all files and folders below a folder; `place` is their kind where it says it."""
    if not top.is_dir():
        return
    for folder, folders, files in os.walk(top):
        home = Path(folder)
        inside = home.relative_to(top).parts
        named = place or (PLACES.get(inside[0]) if inside else None)
        count(named or RECORDS, home, folder=True)
        for name in files:
            count(named or _kind(name), home / name)
        folders.sort()


def _kind(name: str) -> str:
    stem, _, suffix = name.partition(".")
    if suffix == "safetensors":
        kinds = dict.fromkeys(WEIGHT_FILES, WEIGHTS) | {REPRESENTATIONS: REPRESENTATIONS}
        return kinds.get(stem, RECORDS)
    return CHECKPOINTS if stem == "checkpoint" else RECORDS
