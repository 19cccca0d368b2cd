"""`run --profile`: where the time of a training step goes, on one screen."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from stillhouse.runs.files import read_json
from stillhouse.tables import Table

SHARED = ""  # who spent what a cohort shares
OWN = ("student forward", "method", "backward", "optimizer", "guards", "CUDA graph")
MEANING = {
    "data": "batch and augmentation",
    "teacher": "its forward pass, for all students",
    "student forward": "the students' networks",
    "method": "the loss terms",
    "backward": "gradients of the loss",
    "optimizer": "the update of the weights",
    "guards": "checks of finite values, sums, hashes",
    "CUDA graph": "forward to update, as one launch",
    "evaluation": "the test images",
    "records": "heartbeats, records, checkpoints",
}
BAR = 20
Key = tuple[str, str]


def profile_tables(folder: Path) -> list[Table]:
    """Return what the workers measured: the parts of a step, and the parts of each method's own.

    `folder` holds a file per worker (see `Laps.write`); without one there is nothing to show.
    """
    seconds, times = defaultdict[Key, float](float), defaultdict[Key, int](int)
    files = [read_json(file) for file in sorted(folder.glob("*.json"))]
    for row in (row for found in files for row in found["rows"]):
        seconds[row["who"], row["part"]] += row["seconds"]
        times[row["who"], row["part"]] += row["times"]
    if not seconds:
        return []
    whole = sum(found["seconds"] for found in files)
    return [_parts(seconds, times, whole), _methods(seconds, times)]


def _parts(seconds: dict[Key, float], times: dict[Key, int], whole: float) -> Table:
    steps = max(1, times[SHARED, "data"])
    rows: list[tuple[Any, ...]] = []
    for part, meaning in MEANING.items():
        spent = sum(value for (_, name), value in seconds.items() if name == part)
        if spent:
            bar = "█" * round(BAR * spent / whole)
            row = (part, round(100 * spent / whole, 1), _ms(spent / steps), bar, meaning)
            rows.append(row)
    rows.append(("all", 100, _ms(whole / steps), "", f"{steps:,} steps of a process"))
    title = f"Where {whole:.3g} s of training went"
    return Table(title, ("Part", "Share %", "ms/step", "", "What it is"), tuple(rows))


def _methods(seconds: dict[Key, float], times: dict[Key, int]) -> Table:
    """Return a row for each method, the slowest first: milliseconds of each part of its step."""
    rows: list[tuple[float, tuple[Any, ...]]] = []
    parts = [part for part in OWN if any(name == part for _, name in seconds)]
    for who in {who for who, _ in seconds} - {SHARED}:
        steps = max(1, times[who, "optimizer"], times[who, "CUDA graph"])
        own = [seconds.get((who, part), 0.0) / steps for part in parts]
        rows.append((sum(own), (who, *map(_ms, own), _ms(sum(own)))))
    shown = tuple(row for _, row in sorted(rows, key=lambda row: -row[0]))
    names = tuple(part.removeprefix("student ").capitalize() for part in parts)
    return Table("Milliseconds of a run's own step", ("Method", *names, "All"), shown)


def _ms(seconds: float) -> float:
    return float(f"{1000 * seconds:.3g}")
