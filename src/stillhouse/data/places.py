"""Where datasets lie, and what to type when one does not lie there. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

from stillhouse.errors import DataError


def data_root(option: Path | None = None) -> Path:
    """The folder of all datasets: `option`, else $STILLHOUSE_DATA, else the user's cache folder."""
    if option is not None:
        return option
    if named := os.environ.get("STILLHOUSE_DATA"):
        return Path(named)
    return cache_home() / "data"


def cache_home() -> Path:
    """The program's folder in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "stillhouse"


def fetch_command(name: str, root: Path) -> str:
    """The command line that puts a dataset below `root`."""
    return f"stillhouse data fetch {name}" + ("" if root == data_root() else f" --data-root {root}")


def unusable(name: str, root: Path, path: Path, problem: str) -> DataError:
    """The error for a file of a dataset that is missing or damaged."""
    return DataError(f"{name}: {path} {problem}", fetch_command(name, root))
