"""The folders of datasets, and what to type if a dataset is missing. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from stillhouse.errors import DataError


def data_root(option: Path | None = None) -> Path:
    """Return the folder of all datasets: `option`, else $STILLHOUSE_DATA, else the user's cache."""
    if option is not None:
        return option
    if named := os.environ.get("STILLHOUSE_DATA"):
        return Path(named)
    return cache_home() / "data"


def cache_home() -> Path:
    """Return the program's folder in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "stillhouse"


def fetch_command(name: str, root: Path) -> str:
    """Return the command line that downloads a dataset below `root`."""
    return f"stillhouse data fetch {name}" + ("" if root == data_root() else f" --data-root {root}")


def unusable(name: str, root: Path, path: Path, problem: str) -> DataError:
    """Return the error for a file of a dataset that is missing or damaged."""
    return DataError(f"{name}: {path} {problem}", fetch_command(name, root))


def stamp_of(sources: Iterable[Path]) -> str:
    """Return names, sizes and times of files as JSON; "" if one is missing or not a file."""
    try:
        found = [(path.name, path.stat()) for path in sources]
    except OSError:
        return ""
    return json.dumps([(name, stat.st_size, stat.st_mtime_ns) for name, stat in found])
