"""Decide which jobs to submit now: a pure function without files, clock or scheduler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from math import ceil
from typing import Literal

from stillhouse.cluster.jobs import Job, Request, Standing
from stillhouse.cluster.ledger import Ledger
from stillhouse.cluster.site import Resources, Site


@dataclass(frozen=True)
class Run:
    """The constant facts of a run.

    `group` numbers its cohort, `teacher` is the path of its teacher if this round trains it, `cost`
    is the relative cost of an epoch (operations).
    """

    path: str
    dataset: str
    model: str
    group: int
    teacher: str | None
    epochs: int
    cost: float


@dataclass(frozen=True)
class Terms:
    """The submit options: site, single runs or cohorts, and processes per GPU."""

    site: Site
    cohorts: bool = False
    runs_per_gpu: int = 1
    only: Collection[str] | None = None


@dataclass
class Decision:
    """The jobs to submit, most urgent first; why each other unfinished run is not submitted; the
    halt.
    """

    requests: list[Request] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    halt: str = ""


def decide(
    runs: Sequence[Run],
    now: Mapping[str, Standing],
    taught: Collection[str],
    jobs: Collection[Job],
    live: int,
    ledger: Ledger,
    terms: Terms,
) -> Decision:
    """Decide what to submit.

    `taught` are the runs that need no teacher or have one that is complete and verified, `jobs`
    those not closed yet; `live` counts all of the user's jobs in the queue, of any kind.
    """
    decision = Decision(halt=ledger.halt)
    busy = {path for job in jobs for path in job.request.paths}
    free: list[Run] = []
    waiting: set[int] = set()
    for run in runs:
        if now[run.path].state == "done" or not (terms.only is None or run.path in terms.only):
            continue
        why = obstacle(run, now[run.path], run.path in busy, run.path in taught, ledger, terms.site)
        if why is None:
            free.append(run)
            continue
        decision.left[run.path] = why.text
        if why.kind == "teacher":
            waiting.add(run.group)
    slots = terms.site.cap - live
    no_slot = f"no free slot (cap {terms.site.cap})"
    if decision.halt or slots <= 0:
        decision.left |= dict.fromkeys((run.path for run in free), decision.halt or no_slot)
        return decision
    proven = {run.dataset for run in runs if now[run.path].epoch > 0}
    trying = {run.dataset for run in runs if run.path in busy} - proven
    urgency = urgencies(runs, now)
    units = sorted(
        _units(free, waiting, ledger, terms),
        key=lambda unit: (unit.early, -max(urgency[run.path] for run in unit.runs)),
    )
    taken: set[str] = set()
    for place, unit in enumerate(units):
        dataset = unit.runs[0].dataset
        if unit.runs[0].path in taken:
            continue
        if len(decision.requests) >= slots:
            break
        if dataset in trying:
            later = f"waits until a job of {dataset} has finished an epoch"
            decision.left |= dict.fromkeys((run.path for run in unit.runs), later)
            continue
        request = _fill(unit, islice(units, place + 1, None), taken, ledger, terms)
        decision.requests.append(request)
        trying |= {dataset} - proven
    rest = [run.path for run in free if run.path not in taken and run.path not in decision.left]
    decision.left |= dict.fromkeys(rest, no_slot)
    return decision


@dataclass(frozen=True)
class Obstacle:
    """Why an unfinished run may not be submitted now: `kind` for programs, `text` for readers."""

    kind: Literal["queued", "training", "unreadable", "failed", "out of memory", "stuck", "teacher"]
    text: str


def obstacle(
    run: Run, now: Standing, busy: bool, taught: bool, ledger: Ledger, site: Site
) -> Obstacle | None:
    """Return why an unfinished run may not be submitted now; None if it may."""
    if busy or now.state == "running":
        return Obstacle("queued", "in the queue") if busy else Obstacle("training", "being trained")
    if now.state == "unreadable":
        return Obstacle("unreadable", f"unreadable: {now.reason}")
    past = ledger.past(run.path)
    forgiven = ledger.forgiven.get(run.path) == now.attempts
    if now.state == "failed" and not forgiven and not now.out_of_memory:
        return Obstacle("failed", f"failed: {now.reason}")
    if past.memory and _memory(run, past.memory - 1, site) >= site.ceiling:
        return Obstacle("out of memory", f"out of memory at the ceiling of {site.ceiling} GB")
    if past.stuck:
        return Obstacle("stuck", past.stuck)
    return None if taught else Obstacle("teacher", "waits for its teacher")


def urgencies(runs: Iterable[Run], now: Mapping[str, Standing]) -> dict[str, float]:
    """Return the remaining work of each run, for a teacher with that of its longest student."""
    left = {run.path: run.cost * max(0, run.epochs - now[run.path].epoch) for run in runs}
    after: dict[str, float] = defaultdict(float)
    for run in runs:
        if run.teacher:
            after[run.teacher] = max(after[run.teacher], left[run.path])
    return {path: own + after[path] for path, own in left.items()}


@dataclass(frozen=True)
class _Unit:
    """Runs for one process. An `early` one would join a larger cohort by waiting."""

    runs: tuple[Run, ...]
    early: bool = False


def _units(
    free: list[Run], waiting: Collection[int], ledger: Ledger, terms: Terms
) -> Iterable[_Unit]:
    """Mark groups as early if one of their runs waits for its teacher (in `waiting`)."""
    if not terms.cohorts:
        return [_Unit((run,)) for run in free]
    units = []
    for group, members in groupby(sorted(free, key=lambda run: run.group), lambda run: run.group):
        whole = list(members)
        parts = ceil(len(whole) / _together(whole, ledger))
        units += [_Unit(tuple(whole[i::parts]), group in waiting) for i in range(parts)]
    return units


def _together(runs: Iterable[Run], ledger: Ledger) -> int:
    return min(ledger.past(run.path).together or 10**9 for run in runs)


def _fill(
    first: _Unit, others: Iterable[_Unit], taken: set[str], ledger: Ledger, terms: Terms
) -> Request:
    """Return a job with this unit, and similar ones if its GPUs run more processes."""
    asked = _needs(first, ledger, terms.site)
    room = max(1, asked.gpus) * terms.runs_per_gpu
    units, runs = [first], list(first.runs)
    for unit in others if room > 1 else ():
        alike = unit.runs[0].dataset == first.runs[0].dataset
        if not alike or unit.runs[0].path in taken or _needs(unit, ledger, terms.site) != asked:
            continue
        if len(runs) + len(unit.runs) <= _together([*runs, *unit.runs], ledger):
            units.append(unit)
            runs += unit.runs
        if len(units) == room:
            break
    taken |= {run.path for run in runs}
    return Request(tuple(tuple(run.path for run in unit.runs) for unit in units), asked)


def _needs(unit: _Unit, ledger: Ledger, site: Site) -> Resources:
    asked = [site.asks(run.dataset, run.model) for run in unit.runs]
    memory = [_memory(run, ledger.past(run.path).memory, site) for run in unit.runs]
    return Resources(
        cpus=max(one.cpus for one in asked),
        memory_gb=max(memory),
        gpus=max(one.gpus for one in asked),
        walltime=max(one.walltime for one in asked),
    )


def _memory(run: Run, times: int, site: Site) -> int:
    asked = site.asks(run.dataset, run.model)
    return max(asked.memory_gb, min(site.ceiling, asked.more_memory(times)))
