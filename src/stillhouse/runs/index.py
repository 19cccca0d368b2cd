"""What was read of finished runs, so that a command over thousands of them need not read all again.

The index lies in the user's cache folder, one file per folder of experiments. It is never the
truth: an entry counts only while the files that it was read from have the same time, size and
inode, and only for the version of the code that wrote it. Without it everything is read again.
"""

from __future__ import annotations

import os
import time
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic_core import from_json, to_json

from stillhouse.errors import Notice
from stillhouse.runs.environment import source
from stillhouse.runs.files import write_atomic

_Kind = TypeVar("_Kind")
Stamp = tuple[int, int, int, int]
SETTLED_SECONDS = 2.0  # a file changed later than this may change again within one tick of its time
UNUSED_SECONDS = 60 * 86400.0


def cache_folder() -> Path:
    """Return where what can be computed again is kept: $STILLHOUSE_CACHE, else the user's cache."""
    if named := os.environ.get("STILLHOUSE_CACHE"):
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(home) / "stillhouse"


def stamp(file: Path | str) -> Stamp | None:
    """Return a file's time of change, time of its inode, size and inode; None if unreadable."""
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def settled(stamps: Iterable[Stamp | None]) -> bool:
    """Whether a later change of these files would show in their stamps."""
    limit = (time.time() - SETTLED_SECONDS) * 1e9
    return all(one is not None and one[0] < limit for one in stamps)


class ReadOnce(Generic[_Kind]):
    """Values read from files in this process, each until its file changes; at most `most`."""

    def __init__(self, most: int) -> None:
        self._most, self._known = most, OrderedDict[str, tuple[Stamp, _Kind]]()

    def get(self, file: Path, read: Callable[[], _Kind]) -> _Kind | None:
        """Return `read()`, or what it gave for the same file; None where there is no such file."""
        name, now = str(file), stamp(file)
        if now is None and not file.exists():
            return None
        known = self._known.get(name)
        if known and known[0] == now:
            self._known.move_to_end(name)
            return known[1]
        value = read()
        if now is not None and settled([now]):
            self._known[name] = now, value
            self._known.move_to_end(name)
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return value


class Cache:
    """A JSON object in the cache folder, valid for this version of the code only.

    A file that cannot be read counts as empty; one that cannot be written is reported once.
    """

    def __init__(self, kind: str, of: str) -> None:
        name = sha256(of.encode()).hexdigest()[:32]
        self.file = cache_folder() / kind / f"{name}.json"
        self.header = {"format": 1, "of": of, "source": source()}

    def load(self) -> Any:
        """Return what was saved, or None."""
        try:
            found = from_json(self.file.read_bytes())
        except (OSError, ValueError):
            return None
        known = isinstance(found, dict) and self.header.items() <= found.items()
        return found.get("content") if known else None

    def save(self, content: Any) -> None:
        """Replace what was saved; files that nobody has used for two months are removed."""
        text = to_json({**self.header, "content": content})
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(self.file, text)
            for other in self.file.parent.glob("*.json"):
                if time.time() - other.stat().st_mtime > UNUSED_SECONDS:
                    other.unlink(missing_ok=True)
        except OSError as error:
            warnings.warn(
                f"{self.file.parent}: nothing can be kept there ({error.strerror}), so finished "
                "runs are read again by every command; $STILLHOUSE_CACHE names another folder",
                Notice,
                stacklevel=2,
            )


class Index:
    """Facts of finished runs by folder, each with the stamps of the files it was read from."""

    def __init__(self, experiments: Path) -> None:
        self._cache = Cache("index", str(experiments.resolve()))
        found = self._cache.load()
        self._known: dict[str, Any] = found if isinstance(found, dict) else {}
        self._changed = False

    def get(self, folder: Path, stamps: list[Stamp | None]) -> Any:
        """Return what is known of a folder, or None if its files have changed since."""
        entry = self._known.get(str(folder))
        if entry is None or list(map(_listed, stamps)) != entry[0]:
            return None
        return entry[1]

    def put(self, folder: Path, stamps: list[Stamp | None], facts: Any) -> None:
        """Keep what was read of a folder, if its files are old enough to be known by their stamps.

        `stamps` are those from before it was read.
        """
        if settled(stamps):
            self._known[str(folder)] = [list(map(_listed, stamps)), facts]
            self._changed = True

    def save(self) -> None:
        """Write what has changed."""
        if self._changed:
            self._cache.save(self._known)
            self._changed = False


def _listed(one: Stamp | None) -> list[int] | None:
    return None if one is None else list(one)
