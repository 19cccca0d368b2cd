"""Reading and writing small files so that a reader never sees half of one."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from stillhouse.errors import RunError
from stillhouse.runs.process import Process

ABANDONED_SECONDS = 300.0


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a reader sees the old bytes or the new ones, also after a crash."""
    with _written(path, data) as temporary:
        os.replace(temporary, path)
    _sync_folder(path.parent)


def write_once(path: Path, data: bytes) -> bool:
    """Create `path` with `data` unless it exists; False if another writer was first.

    Uses a hard link, which is exclusive on network file systems too. There an answer that got
    lost is asked for again and may be a refusal: a second link shows that it was granted.
    """
    with _written(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return temporary.stat().st_nlink == 2
    _sync_folder(path.parent)
    return True


def temporary(path: Path) -> Path:
    """A name beside `path` for this process alone; it tells `sweep` whose it is."""
    return path.with_name(f".{path.name}@{Process.me()}@{uuid4().hex[:8]}.tmp")


def sweep(*folders: Path) -> None:
    """Remove what processes that are gone left half written in these folders.

    Where a process cannot be looked up, as on another host, its file's age decides.
    """
    for folder in folders:
        for path in folder.glob(".*@*@*.tmp"):
            if _abandoned(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _abandoned(path: Path) -> bool:
    owner = Process.parse(path.name.rsplit("@", 2)[1])
    if owner is None:
        return False
    if (alive := owner.alive()) is not None:
        return not alive
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except FileNotFoundError:
        return False


@contextmanager
def _written(path: Path, data: bytes) -> Iterator[Path]:
    """A temporary file beside `path` with `data` safe on the disk, gone afterwards."""
    new = temporary(path)
    try:
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield new
    finally:
        new.unlink(missing_ok=True)


def dump_json(value: Any) -> bytes:
    """Indented JSON with a final newline; NaN is refused, for it is not JSON."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises RunError naming the file if it is not one."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: not readable as JSON ({error})", "restore or remove it") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: expected a JSON object, found {type(value).__name__}")
    return value


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records of a JSONL file; a torn last line, the mark of a kill, is left out."""
    records = []
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            records.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise RunError(f"{path}:{number}: not a JSON record ({error})") from error
    return records


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
