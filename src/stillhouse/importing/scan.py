"""Finding the run folders of the earlier script layout."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from stillhouse.config import names
from stillhouse.config.expand import PURE

FILES = ("status.json", "metrics.json", "logs", "errors")
WEIGHTS = (".pth", ".pt", ".ckpt")
ALPHA = re.compile(r"alpha_(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Place:
    """What a run's path says: `alpha` where there is an `alpha_X` level, `teacher` in `T_to_S`."""

    dataset: str
    method: str
    alpha: float | None
    teacher: str | None
    model: str
    seed: int


@dataclass(frozen=True)
class Found:
    """A run's folder; `relative` is its path below the folder that was searched."""

    place: Place
    folder: Path
    relative: str


@dataclass(frozen=True)
class Scan:
    """The runs below `base`, and what is not a run's: (relative path, why) each."""

    base: Path
    runs: tuple[Found, ...]
    strays: tuple[tuple[str, str], ...]


def scan(source: Path) -> Scan:
    """Look through `source/experiments`, or `source` itself if there is none.

    A folder named by a number is a run's, whatever it holds; a folder that no run can be read
    from, and each file outside of the runs, is a stray.
    """
    base = source / "experiments" if (source / "experiments").is_dir() else source
    runs: list[Found] = []
    strays: list[tuple[str, str]] = []
    for folder in sorted(path for path in base.rglob("*") if path.is_dir()):
        if folder.name.isdecimal() and not _inside(folder, runs):
            relative = folder.relative_to(base).as_posix()
            place = read_place(relative)
            if isinstance(place, Place):
                runs.append(Found(place, folder, relative))
            else:
                strays.append((relative, place))
    strays += [
        (path.relative_to(base).as_posix(), "a file outside of the run folders")
        for path in sorted(base.rglob("*"))
        if path.is_file() and not _inside(path, runs)
    ]
    return Scan(base, tuple(runs), tuple(strays))


def read_place(relative: str) -> Place | str:
    """What `DATASET/METHOD/[alpha_X/]NETWORKS/SEED` says, or why it says nothing."""
    parts = relative.split("/")
    if len(parts) not in (4, 5):
        return "expected DATASET/METHOD/NETWORKS/SEED, or with alpha_X before NETWORKS"
    dataset, method, *level, networks, seed = parts
    alpha = ALPHA.fullmatch(level[0]) if level else None
    if level and alpha is None:
        return f"'{level[0]}' is not of the form alpha_0.5"
    teacher, distilled, model = networks.rpartition("_to_")
    if (method == PURE) == bool(distilled):
        return f"'{networks}' does not go with '{method}'"
    known = [(dataset, names.datasets()), (method, names.distillers())]
    known += [(network, names.networks()) for network in (model, teacher or model)]
    for name, among in known:
        if name not in among:
            return f"stillhouse knows no '{name}' (known: {', '.join(among)})"
    value = float(alpha[1]) if alpha else None
    return Place(dataset, method, value, teacher or None, model, int(seed))


def _inside(path: Path, runs: list[Found]) -> bool:
    return any(run.folder in path.parents for run in runs)
