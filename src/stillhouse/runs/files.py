"""Reading and writing small files so that a reader never sees half of one."""

from __future__ import annotations

import json
import math
import os
import stat
from hashlib import sha256
from pathlib import Path
from typing import Any

from stillhouse.errors import RunError

MAX_BYTES = 1 << 26
RESTORE = "restore or remove it"


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`: a reader sees the old bytes or the new ones, also after a crash."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_once(path: Path, data: bytes) -> bool:
    """Create `path` with `data` unless it exists; False if another writer was first.

    Uses a hard link, which is exclusive on network file systems too.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)
    return True


def dump_json(value: Any) -> bytes:
    """Indented JSON with a final newline; NaN is refused, for it is not JSON."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def read_bytes(path: Path, limit: int = MAX_BYTES, cure: str = RESTORE) -> bytes:
    """All of a plain file. Raises RunError if it is none (a pipe would block), or too large."""
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise RunError(f"{path}: not a plain file", cure)
        if found.st_size > limit:
            raise RunError(f"{path}: {found.st_size:,} bytes, expected at most {limit:,}", cure)
        return path.read_bytes()
    except OSError as error:
        raise RunError(f"{path}: not readable ({error.strerror})", cure) from error


def read_json(path: Path, cure: str = RESTORE) -> dict[str, Any]:
    """The object in a JSON file. Raises RunError naming the file if it is not one."""
    try:
        value = _parse(read_bytes(path, cure=cure))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not readable as JSON ({error})", cure) from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: expected a JSON object, found {type(value).__name__}", cure)
    return value


def read_lines(path: Path, expected: str | None = None) -> list[Any]:
    """The values of a JSONL file; a torn last line, the mark of a kill, is left out.

    Raises RunError for a torn other line, or if the SHA-256 of the bytes is not as `expected`.
    """
    records = []
    content = read_bytes(path)
    if expected is not None and sha256(content).hexdigest() != expected:
        raise RunError(f"{path} is not the file that was recorded", "restore it")
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            records.append(_parse(line))
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break
            raise RunError(f"{path}:{number}: not a JSON record ({error})", RESTORE) from error
    return records


def _parse(text: bytes) -> Any:
    """JSON of finite numbers. Raises ValueError or RecursionError."""
    return json.loads(text, parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number


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
