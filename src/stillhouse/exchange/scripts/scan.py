"""Find the run folders of the earlier script layout, and read their files within limits."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from stillhouse import data, methods, models
from stillhouse.config.schema import PURE
from stillhouse.errors import RunError
from stillhouse.runs.files import MAX_BYTES

WEIGHTS = (".pth", ".pt", ".ckpt")
ALPHA = re.compile(r"alpha_(\d+(?:\.\d+)?)")
SEED = re.compile(r"[0-9]{1,9}")
MAX_DEPTH, MAX_PATH = 32, 1000


@dataclass(frozen=True)
class Place:
    """The facts in a run's path: `alpha` of an `alpha_X` level, `teacher` of `T_to_S`."""

    dataset: str
    method: str
    alpha: float | None
    teacher: str | None
    model: str
    seed: int


@dataclass(frozen=True)
class Entry:
    """An entry below a folder; `problem` states why it cannot be read or entered."""

    path: Path
    relative: str
    folder: bool = False
    size: int = 0
    problem: str = ""

    def read(self) -> bytes:
        """Return the content of the file. Raises RunError with `problem`, or if it changed
        meanwhile.

        A link is not followed; a pipe or a device is not opened.
        """
        if self.problem or self.folder:
            raise RunError(self.problem or "a folder, expected a file")
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with open(handle, "rb") as file:
                content = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise RunError(f"not readable ({error.strerror})") from error
        if len(content) > MAX_BYTES:
            raise RunError(f"grew to more than {MAX_BYTES:,} bytes while it was read")
        return content


@dataclass(frozen=True)
class Found:
    """A run's folder with its files; `relative` is its path below the searched folder.

    The names in `entries` are relative to the run's folder.
    """

    place: Place
    relative: str
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Scan:
    """The runs below `base`, and all other entries: (entry, reason) each."""

    base: Path
    runs: tuple[Found, ...]
    strays: tuple[tuple[Entry, str], ...]


def scan(source: Path) -> Scan:
    """Search `source/experiments`, or `source` itself if there is none.

    A folder whose name is a number is a run's folder. A folder that cannot be read as a run, and
    each file outside the runs, is listed as a stray. Raises RunError if `experiments` is a link,
    because links are not followed.
    """
    base = source / "experiments"
    if base.is_symlink():
        raise RunError(
            f"{base} is a link, which is not followed", "give the folder that it links to as PATH"
        )
    base = base if base.is_dir() else source
    strays: list[tuple[Entry, str]] = []
    runs: list[tuple[Place, str, list[Entry]]] = []
    for entry in _walk(base):
        if runs and entry.relative.startswith(f"{runs[-1][1]}/"):
            runs[-1][2].append(replace(entry, relative=entry.relative[len(runs[-1][1]) + 1 :]))
        elif entry.problem or not entry.folder:
            strays.append((entry, entry.problem or "a file outside the run folders"))
        elif entry.path.name.isdecimal():
            place = read_place(entry.relative)
            if isinstance(place, Place):
                runs.append((place, entry.relative, []))
            else:
                strays.append((entry, place))
    return Scan(base, tuple(Found(p, r, tuple(entries)) for p, r, entries in runs), tuple(strays))


def read_place(relative: str) -> Place | str:
    """Parse `DATASET/METHOD/[alpha_X/]NETWORKS/SEED`, or return why that fails."""
    parts = relative.split("/")
    if len(parts) not in (4, 5):
        return "expected DATASET/METHOD/NETWORKS/SEED, or with alpha_X before NETWORKS"
    dataset, method, *level, networks, seed = parts
    alpha = ALPHA.fullmatch(level[0]) if level else None
    if level and alpha is None:
        return f"'{level[0]}' is not of the form alpha_0.5"
    teacher, distilled, model = networks.rpartition("_to_")
    if (method == PURE) == bool(distilled):
        return f"'{networks}' does not fit '{method}'"
    known = [(dataset, data.names()), (method, methods.names())]
    known += [(network, models.names()) for network in (model, teacher or model)]
    for name, among in known:
        if name not in among:
            return f"'{name}' is unknown (known: {', '.join(among)})"
    if not SEED.fullmatch(seed):
        return "expected a seed of at most 9 digits"
    value = float(alpha[1]) if alpha else None
    if value is not None and not (value < 1 and float(f"{value:g}") == value):
        return f"'{level[0]}': expected alpha from 0 to below 1, with at most six digits"
    return Place(dataset, method, value, teacher or None, model, int(seed))


def _walk(base: Path) -> Iterator[Entry]:
    """Yield all entries below a folder in the order of names, each folder before its content."""
    waiting = [(base, "", 0)]
    while waiting:
        path, relative, depth = waiting.pop()
        try:
            found = path.lstat()
            folder = stat.S_ISDIR(found.st_mode)
            fits = depth <= MAX_DEPTH and len(os.fsencode(relative)) <= MAX_PATH
            inside = sorted(os.listdir(path)) if folder and fits else []
        except OSError as error:
            yield Entry(path, relative, problem=f"not readable ({error.strerror})")
            continue
        problem = "" if folder else _problem(found)
        if not fits:
            problem = f"more than {MAX_DEPTH} folders deep, or {MAX_PATH:,} characters: not read"
        if relative or problem:
            yield Entry(path, relative, folder, found.st_size, problem)
        prefix = f"{relative}/" if relative else ""
        waiting += [(path / name, prefix + name, depth + 1) for name in reversed(inside)]


def _problem(found: os.stat_result) -> str:
    """Return why a file is not read, from its state; empty if it is."""
    if stat.S_ISLNK(found.st_mode):
        return "a link, which is not followed"
    if not stat.S_ISREG(found.st_mode):
        return "not a plain file"
    if found.st_size > MAX_BYTES:
        return f"{found.st_size:,} bytes, expected at most {MAX_BYTES:,}: not read, not copied"
    return ""
