"""stillhouse: a workbench for knowledge-distillation research."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from stillhouse.stats.runs import LoadedRound

__all__ = ["load_round"]
__version__ = "0.2.0"


def load_round(path: Path | str, root: Path | str = ".") -> LoadedRound:
    """Open a round: its tables as pandas frames, its runs and their networks.

    `path` is a round file, the name of a round in the workspace `root`, or a folder that holds a
    round. The frames are `runs`, `epochs`, `measures`, `pairs` and `transfer` (docs/tables.md);
    `run(path).network()` is a trained network. Raises ConfigError if there is no such round.
    """
    from stillhouse.stats.runs import load_round as load  # imports pandas

    return load(path, root)
