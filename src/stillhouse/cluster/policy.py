"""Decide which jobs to submit now: a pure function without files, clock or scheduler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import ceil
from typing import Literal

from stillhouse.cluster.jobs import Job, Request
from stillhouse.cluster.ledger import Ledger
from stillhouse.cluster.site import Resources, Site
from stillhouse.rounds.schedule import cohorts
from stillhouse.rounds.survey import Cell, own_teacher


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
    cells: Sequence[Cell],
    costs: Mapping[str, float],
    taught: Collection[str],
    jobs: Collection[Job],
    live: int,
    ledger: Ledger,
    terms: Terms,
) -> Decision:
    """What to submit.

    `costs` are the relative costs of an epoch by path, `taught` the runs that need no teacher or
    have one that is complete and verified, `jobs` those not closed yet; `live` counts all of the
    user's jobs in the queue, of any kind.
    """
    decision = Decision(halt=ledger.halt)
    busy = {path for job in jobs for path in job.request.paths}
    free: list[Cell] = []
    waiting: set[str] = set()
    for cell in cells:
        path = cell.path
        if cell.state.name == "done" or not (terms.only is None or path in terms.only):
            continue
        why = obstacle(cell, path in busy, path in taught, ledger, terms.site)
        if why is None:
            free.append(cell)
            continue
        decision.left[path] = why.text
        if why.kind == "teacher":
            waiting.add(path)
    slots = terms.site.cap - live
    no_slot = f"no free slot (cap {terms.site.cap})"
    if decision.halt or slots <= 0:
        decision.left |= dict.fromkeys((cell.path for cell in free), decision.halt or no_slot)
        return decision
    proven = {cell.config.dataset for cell in cells if cell.state.epoch > 0}
    trying = {cell.config.dataset for cell in cells if cell.path in busy} - proven
    urgency = urgencies(cells, costs)
    units = sorted(
        _units(cells, free, waiting, ledger, terms),
        key=lambda unit: (unit.early, -max(urgency[path] for path in unit.paths)),
    )
    taken: set[str] = set()
    for place, unit in enumerate(units):
        dataset = unit.dataset
        if unit.paths[0] in taken:
            continue
        if len(decision.requests) >= slots:
            break
        if dataset in trying:
            later = f"waits until a job of {dataset} has finished an epoch"
            decision.left |= dict.fromkeys(unit.paths, later)
            continue
        request = _fill(unit, islice(units, place + 1, None), taken, ledger, terms)
        decision.requests.append(request)
        trying |= {dataset} - proven
    rest = [c.path for c in free if c.path not in taken and c.path not in decision.left]
    decision.left |= dict.fromkeys(rest, no_slot)
    return decision


@dataclass(frozen=True)
class Obstacle:
    """Why an unfinished run may not be submitted now: `kind` for programs, `text` for readers."""

    kind: Literal["queued", "training", "unreadable", "failed", "out of memory", "stuck", "teacher"]
    text: str


def obstacle(cell: Cell, busy: bool, taught: bool, ledger: Ledger, site: Site) -> Obstacle | None:
    """Why an unfinished run may not be submitted now; None if it may."""
    now = cell.state
    if busy or now.name == "running":
        return Obstacle("queued", "in the queue") if busy else Obstacle("training", "being trained")
    if now.name == "unreadable":
        return Obstacle("unreadable", f"unreadable: {now.reason}")
    past = ledger.past(cell.path)
    forgiven = ledger.forgiven.get(cell.path) == now.attempts
    if now.name == "failed" and not forgiven and not now.out_of_memory:
        return Obstacle("failed", f"failed: {now.reason}")
    if past.memory and _memory(cell, past.memory - 1, site) >= site.ceiling:
        return Obstacle("out of memory", f"out of memory at the ceiling of {site.ceiling} GB")
    if past.stuck:
        return Obstacle("stuck", past.stuck)
    return None if taught else Obstacle("teacher", "waits for its teacher")


def urgencies(cells: Iterable[Cell], costs: Mapping[str, float]) -> dict[str, float]:
    """What is left of each run plus, for a teacher, of its longest student: longest path first."""
    cells = list(cells)
    left = {cell.path: costs[cell.path] * cell.left for cell in cells}
    after: dict[str, float] = defaultdict(float)
    for cell in cells:
        if teacher := own_teacher(cell.config):
            after[teacher] = max(after[teacher], left[cell.path])
    return {path: own + after[path] for path, own in left.items()}


@dataclass(frozen=True)
class _Unit:
    """Runs of one dataset for one process. An `early` one would be in a larger cohort later."""

    cells: tuple[Cell, ...]
    early: bool = False

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(cell.path for cell in self.cells)

    @property
    def dataset(self) -> str:
        return self.cells[0].config.dataset


def _units(
    cells: Sequence[Cell],
    free: Sequence[Cell],
    waiting: Collection[str],
    ledger: Ledger,
    terms: Terms,
) -> list[_Unit]:
    """Cohorts of which a run waits for its teacher, named by `waiting`, are early."""
    if not terms.cohorts:
        return [_Unit((cell,)) for cell in free]
    units, place = [], {cell.path: number for number, cell in enumerate(free)}
    for group in cohorts(cells):
        own = (cell for cell in group if cell.path in place)
        whole = sorted(own, key=lambda cell: place[cell.path])
        if whole:
            early = any(cell.path in waiting for cell in group)
            parts = ceil(len(whole) / _together((cell.path for cell in whole), ledger))
            units += [_Unit(tuple(whole[i::parts]), early) for i in range(parts)]
    return units


def _together(paths: Iterable[str], ledger: Ledger) -> int:
    return min(ledger.past(path).together or 10**9 for path in paths)


def _fill(
    first: _Unit, others: Iterable[_Unit], taken: set[str], ledger: Ledger, terms: Terms
) -> Request:
    """A job with this unit and, where its GPUs take more processes, others like it."""
    asked = _needs(first, ledger, terms.site)
    room = max(1, asked.gpus) * terms.runs_per_gpu
    groups, paths = [first.paths], [*first.paths]
    for unit in others if room > 1 else ():
        alike = unit.dataset == first.dataset
        if not alike or unit.paths[0] in taken or _needs(unit, ledger, terms.site) != asked:
            continue
        if len(paths) + len(unit.paths) <= _together([*paths, *unit.paths], ledger):
            groups.append(unit.paths)
            paths += unit.paths
        if len(groups) == room:
            break
    taken |= set(paths)
    return Request(tuple(groups), asked)


def _needs(unit: _Unit, ledger: Ledger, site: Site) -> Resources:
    asked = [site.asks(cell.config.dataset, cell.config.model) for cell in unit.cells]
    memory = [_memory(cell, ledger.past(cell.path).memory, site) for cell in unit.cells]
    return Resources(
        cpus=max(one.cpus for one in asked),
        memory_gb=max(memory),
        gpus=max(one.gpus for one in asked),
        walltime=max(one.walltime for one in asked),
    )


def _memory(cell: Cell, times: int, site: Site) -> int:
    asked = site.asks(cell.config.dataset, cell.config.model)
    return max(asked.memory_gb, min(site.ceiling, asked.more_memory(times)))
