"""What training costs as cohorts train it: pure functions on the cost of an epoch of each run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, inf
from typing import NamedTuple

HEADROOM = 1.25  # of what is asked of a cluster, over what is expected
ROUNDED = 600  # seconds


@dataclass(frozen=True)
class EpochCost:
    """What an epoch of a run costs.

    `own` seconds are those of its own steps, evaluation and writing; `loading` those of the batches
    and `teacher` those of the teacher's passes, which a cohort has once. `memory` is the peak in
    bytes of a process that trained `runs` such runs (0: unknown).
    """

    own: float
    loading: float = 0.0
    teacher: float = 0.0
    memory: int = 0
    runs: int = 1

    @property
    def alone(self) -> float:
        """Return the seconds of an epoch of the run without a cohort."""
        return self.own + self.loading + self.teacher


class Work(NamedTuple):
    """What is to be trained of a run: `epochs`, and what an epoch costs (None: unknown).

    `state` are the bytes that its weights and its optimizer's state take in memory, `disk` those
    that stay when it is done; `waits_for` is the run that teaches it, if this round trains that.
    """

    path: str
    epochs: int
    cost: EpochCost | None
    state: int = 0
    disk: int = 0
    waits_for: str | None = None


@dataclass(frozen=True)
class Process:
    """Runs that one process trains together."""

    runs: tuple[Work, ...]

    @property
    def known(self) -> list[tuple[int, EpochCost]]:
        """Return epochs and cost of the runs whose cost is known."""
        return [(run.epochs, run.cost) for run in self.runs if run.cost is not None]

    @property
    def alone(self) -> float:
        """Return the seconds of the known runs, each alone."""
        return sum(epochs * cost.alone for epochs, cost in self.known)

    @property
    def shared(self) -> float:
        """Return the seconds of what the runs have in common: batches and the teacher's passes.

        The runs that are behind are trained first, so each epoch's batches are needed once.
        """
        loading = max((epochs * cost.loading for epochs, cost in self.known), default=0.0)
        return loading + max((epochs * cost.teacher for epochs, cost in self.known), default=0.0)

    @property
    def seconds(self) -> float:
        """Return the seconds of the known runs together."""
        return sum(epochs * cost.own for epochs, cost in self.known) + self.shared

    @property
    def memory(self) -> int:
        """Return the peak in bytes, with what more runs add to the recorded ones; 0 if unknown."""
        most = max((c for _, c in self.known), key=lambda c: c.memory, default=None)
        if most is None or not most.memory:
            return 0
        more = max(0, len(self.runs) - max(1, most.runs))
        return most.memory + more * max(run.state for run in self.runs)

    def shares(self) -> dict[str, float]:
        """Return the seconds of each known run (by path) with an equal part of what is shared."""
        count = max(1, len(self.known))
        return {
            run.path: run.epochs * run.cost.own + self.shared / count
            for run in self.runs
            if run.cost is not None
        }


def clock_seconds(processes: Sequence[Process], workers: int) -> float:
    """Return the seconds until `workers` have finished all processes, which start in their order.

    A process waits for the teacher of its runs, where that is among them.
    """
    free, left = [0.0] * max(1, workers), list(processes)
    trained_here = {run.path for one in left for run in one.runs}
    ended = dict[str, float]()

    def ready(one: Process) -> float:
        """Return when the last teacher is done: infinitely late while one has not begun."""
        needed = {run.waits_for for run in one.runs if run.waits_for in trained_here}
        return max((ended.get(str(path), inf) for path in needed), default=0.0)

    while left:
        now = min(free)
        chosen = next((one for one in left if ready(one) <= now), None) or min(left, key=ready)
        end = max(now, ready(chosen)) + chosen.seconds
        free[free.index(now)] = end
        ended |= {run.path: end for run in chosen.runs}
        left.remove(chosen)
    return max(free)


def proposal(processes: Iterable[Process], margin: float) -> tuple[int, int | None]:
    """Return a walltime in seconds, and gigabytes, in which every process ends, with headroom.

    `margin` are the seconds before a walltime's end at which a job stops. The gigabytes are None
    where the memory of no process is known.
    """
    found = list(processes)
    longest = max(one.seconds for one in found) * HEADROOM + margin
    memory = max(one.memory for one in found) * HEADROOM
    return ROUNDED * ceil(longest / ROUNDED), ceil(memory / 1e9) if memory else None
