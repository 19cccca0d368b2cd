"""Interleaved pairs: two things timed in turn, so that both see the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

Act = Callable[[], object]
Row = dict[str, Any]


def pairs(ours: Act, other: Act, count: int, clock: Callable[[], float]) -> list[list[float]]:
    """Return `count` pairs of seconds, ours first, after one of each to warm up.

    The order within a pair alternates.
    """
    ours(), other()
    found = []
    for number in range(count):
        acts = (ours, other) if number % 2 == 0 else (other, ours)
        spent = [_seconds(act, clock) for act in acts]
        found.append(spent if number % 2 == 0 else spent[::-1])
    return found


def _seconds(act: Act, clock: Callable[[], float]) -> float:
    started = clock()
    act()
    return clock() - started


def ratios(row: Row) -> list[float]:
    """Return the other's seconds over ours of each pair: above 1 ours is faster."""
    return [other / ours for ours, other in row["pairs"]]


def middle(row: Row) -> float:
    """Return the median ratio of a row."""
    return statistics.median(ratios(row))


def processor_clock() -> float:
    """Return the processor seconds of this process, which other work hardly lengthens."""
    return time.process_time()


def fallen(now: list[Row], before: list[Row], share: float = 0.25) -> list[str]:
    """Return the rows whose median ratio fell by more than a share of the earlier one, in words."""
    earlier = {(row["part"], row["name"]): row for row in before if "pairs" in row}
    found = []
    for row in now:
        was = earlier.get((row["part"], row["name"]))
        if was is None or "pairs" not in row or not row["pairs"]:
            continue
        if middle(row) < (1 - share) * middle(was):
            what = f"{row['part']}, {row['name']}"
            found.append(f"{what}: {middle(row):.2f} times as fast, {middle(was):.2f} before")
    return found
