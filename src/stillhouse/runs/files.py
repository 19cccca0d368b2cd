"""Read and write small files atomically: a reader never sees a partial file."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic_core import from_json

from stillhouse.errors import RunError
from stillhouse.runs.process import Process

ABANDONED_SECONDS = 300.0

MAX_BYTES = 1 << 26
RESTORE = "restore or remove it"
# A number beyond floats has an exponent of three digits, behind which no hash goes on, or more
# digits than the largest float. Two patterns, each with a first letter: a set of two is slow.
EXPONENTS = [re.compile(rb"%b\+?[0-9]{3,}(?![0-9a-f\"])" % letter) for letter in (b"e", b"E")]
DIGITS, MANY = bytes.maketrans(b"123456789", b"000000000"), b"0" * 309


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`; a reader sees the old or the new bytes, also after a crash."""
    with _written(path, data) as temporary:
        os.replace(temporary, path)
    sync_folder(path.parent)


def write_once(path: Path, data: bytes) -> bool:
    """Create `path` with `data` unless it exists; False if another writer was first.

    Uses a hard link, which is exclusive on network file systems too. There a lost answer is
    requested again, and the second answer may be a refusal: a link count of two shows that the
    first succeeded.
    """
    with _written(path, data) as temporary:
        try:
            os.link(temporary, path)
        except FileExistsError:
            return temporary.stat().st_nlink == 2
    sync_folder(path.parent)
    return True


def temporary(path: Path) -> Path:
    """Return a temporary name beside `path`; it contains this process's name, for `sweep`."""
    return path.with_name(f".{path.name}@{Process.me()}@{uuid4().hex[:8]}.tmp")


def sweep(*folders: Path) -> None:
    """Remove temporary files of dead processes in these folders.

    If a process cannot be looked up (on another host), the age of its file decides.
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
    """Write `data` to a temporary file beside `path` and sync it; delete it afterwards."""
    new = temporary(path)
    with blamed_on(path):
        try:
            with new.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield new
        finally:
            new.unlink(missing_ok=True)


@contextmanager
def blamed_on(path: Path) -> Iterator[None]:
    """Let an OSError name `path`; errors of a write name no file or a temporary one."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def dump_json(value: Any) -> bytes:
    """Return indented JSON with a final newline; NaN is an error, because JSON has none."""
    return (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()


def read_bytes(path: Path, limit: int = MAX_BYTES, cure: str = RESTORE) -> bytes:
    """Return the content of a plain file.

    Raises RunError if it is not a plain file (a pipe would block) or too large.
    """
    try:
        with open(path, "rb", buffering=0, opener=_without_waiting) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise RunError(f"{path}: not a plain file", cure, "disk")
            if found.st_size > limit:
                raise RunError(
                    f"{path}: {found.st_size:,} bytes, expected at most {limit:,}", cure, "disk"
                )
            return file.readall()
    except OSError as error:
        raise RunError(f"{path}: not readable ({error.strerror})", cure, "disk") from error


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe does not wait for somebody who writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_recorded(path: Path, digest: str, limit: int = MAX_BYTES, cure: str = RESTORE) -> bytes:
    """Return the path of a completed run's file with the recorded SHA-256.

    Until it is moved up it is in the folder of the attempt that wrote it. Raises RunError if there
    is no such file.
    """
    for place in _places(path):
        try:
            content = read_bytes(place, limit, cure)
        except RunError:
            if place.exists():
                raise
            continue
        if sha256(content).hexdigest() == digest:
            return content
    raise RunError(f"{path} is not the file that was recorded", cure, "disk")


def _places(path: Path) -> Iterator[Path]:
    """Yield where a completed run's file may be; it may be moved up in between."""
    yield path
    yield from path.parent.glob(f"attempts/*/{path.name}")
    yield path


def read_json(path: Path, cure: str = RESTORE) -> dict[str, Any]:
    """Return the object in a JSON file. Raises RunError naming the file if it is not one."""
    try:
        value = _parse(read_bytes(path, cure=cure))
    except (ValueError, RecursionError) as error:
        raise RunError(f"{path}: not readable as JSON ({error})", cure, "disk") from error
    if not isinstance(value, dict):
        raise RunError(
            f"{path}: expected a JSON object, found {type(value).__name__}", cure, "disk"
        )
    return value


def read_lines(path: Path) -> list[Any]:
    """Return the values of a JSONL file (see `parse_lines`)."""
    return parse_lines(path, read_bytes(path))


def parse_lines(path: Path, content: bytes) -> list[Any]:
    """Return the values of a JSONL file's lines without a torn last one, which a kill leaves.

    Raises RunError for any other torn line.
    """
    lines = content.split(b"\n")
    records = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            records.append(_parse(line))
        except (ValueError, RecursionError) as error:
            if number == len(lines):
                break
            raise RunError(
                f"{path}:{number}: not a JSON record ({error})", RESTORE, "disk"
            ) from error
    return records


def _surely_finite(text: bytes) -> bool:
    """Whether a float holds every number in a JSON text; False where a closer look is needed."""
    if b"NaN" in text or b"Infinity" in text or MANY in text.translate(DIGITS):
        return False
    return not any(exponent.search(text) for exponent in EXPONENTS)


def _parse(text: bytes) -> Any:
    """Parse JSON with finite numbers. Raises ValueError or RecursionError."""
    if _surely_finite(text):
        try:
            return from_json(text)  # in half the time of `json`
        except ValueError:
            pass  # `json` tells what is wrong, and reads what is deep or in another encoding
    return json.loads(text, parse_float=_finite, parse_constant=_finite)


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text} is not a finite number")
    return number


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    digest = sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def sync_folder(folder: Path) -> None:
    """Sync a folder, so that the names in it survive a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
