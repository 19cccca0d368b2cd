"""Run records written for other programs: one file per program, each a function of a run.

A tracker reads what a run has recorded, so it can be called while the run trains or years later,
and it never touches the training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from stillhouse.errors import ConfigError, unknown_name
from stillhouse.runs.records import Epoch

TRACKERS = ("tensorboard", "wandb")


@dataclass(frozen=True)
class Tracked:
    """A run as trackers see it: its path, its round, its settings and its epochs."""

    path: str
    round: str
    settings: dict[str, Any]
    epochs: Sequence[Epoch]

    @property
    def name(self) -> str:
        """The path as one folder name."""
        return self.path.replace("/", ".")


Tracker = Callable[[Tracked, Path], None]


def tracker(name: str) -> Tracker:
    """The function that writes a run into a new folder.

    Raises ConfigError for an unknown name, and one that names the extra if it is not installed.
    """
    if name not in TRACKERS:
        raise unknown_name("tracker", name, TRACKERS)
    try:
        found: Tracker = import_module(f"stillhouse.exchange.trackers.{name}").write
    except ImportError as error:
        raise ConfigError(
            f"--track {name} needs {error.name}", f"pip install 'stillhouse[{name}]'"
        ) from None
    return found


def scalars(epoch: Epoch) -> dict[str, float]:
    """Every number of an epoch by its place in the record: `test/accuracy`, `train/kd`, `lr`."""
    return dict(_numbers(epoch, ""))


def _numbers(value: Any, place: str) -> list[tuple[str, float]]:
    if isinstance(value, dict):
        return [
            found
            for key, inner in value.items()
            for found in _numbers(inner, f"{place}/{key}" if place else str(key))
        ]
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return [(place, float(value))] if plain and place != "epoch" else []
