"""Which jobs to submit now: a pure function of what is known. No file, no clock, no scheduler."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import ceil

from stillhouse.cluster.jobs import Job, Request, Standing, memory_failure
from stillhouse.cluster.ledger import Ledger
from stillhouse.cluster.site import Resources, Site


@dataclass(frozen=True)
class Run:
    """What never changes of a run.

    `group` numbers its cohort, `teacher` is the path of its teacher if this round trains it,
    `cost` is the relative cost of an epoch.
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
    """How to submit: where, single runs or cohorts, and how many processes share a GPU."""

    site: Site
    cohorts: bool = False
    runs_per_gpu: int = 1


@dataclass
class Decision:
    """The jobs to submit, most urgent first; why each other unfinished run is left; the halt."""

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
    """What to submit.

    `taught` are the runs that need no teacher or have one that is complete and verified, `jobs`
    those not closed yet, and `live` counts all of the user's jobs in the queue, of any kind.
    """
    decision = Decision(halt=ledger.halt)
    busy = {path for job in jobs for path in job.request.paths}
    free: list[Run] = []
    for run in runs:
        why = obstacle(run, now[run.path], run.path in busy, run.path in taught, ledger, terms.site)
        if why:
            decision.left[run.path] = why
        elif now[run.path].state != "done":
            free.append(run)
    if decision.halt:
        decision.left |= dict.fromkeys((run.path for run in free), decision.halt)
        return decision
    proven = {run.dataset for run in runs if now[run.path].epoch > 0}
    trying = {run.dataset for run in runs if run.path in busy} - proven
    urgency = urgencies(runs, now)
    units = sorted(
        _units(free, runs, decision.left, ledger, terms),
        key=lambda unit: (unit.early, -max(urgency[run.path] for run in unit.runs)),
    )
    slots = terms.site.cap - live
    for request, dataset in _pack(units, ledger, terms):
        if dataset in trying:
            why = f"waits until a job of {dataset} has finished an epoch"
        elif len(decision.requests) >= slots:
            why = f"no free slot (cap {terms.site.cap})"
        else:
            decision.requests.append(request)
            trying |= {dataset} - proven
            continue
        decision.left |= dict.fromkeys(request.paths, why)
    return decision


def obstacle(
    run: Run, now: Standing, busy: bool, taught: bool, ledger: Ledger, site: Site
) -> str | None:
    """Why an unfinished run may not be submitted now; None if it may, or is done."""
    past = ledger.past(run.path)
    if now.state == "done":
        return None
    if busy or now.state == "running":
        return "in the queue" if busy else "being trained"
    if now.state == "unreadable":
        return f"unreadable: {now.reason}"
    forgiven = ledger.forgiven.get(run.path) == now.attempts
    if now.state == "failed" and not forgiven and not memory_failure(now):
        return f"failed: {now.reason}"
    if past.memory and _memory(run, past.memory - 1, site) >= site.ceiling:
        return f"out of memory at the ceiling of {site.ceiling} GB"
    return past.stuck or (None if taught else "waits for its teacher")


def urgencies(runs: Iterable[Run], now: Mapping[str, Standing]) -> dict[str, float]:
    """What is left of each run plus, for a teacher, of its longest student: longest path first."""
    left = {run.path: run.cost * (run.epochs - now[run.path].epoch) for run in runs}
    after: dict[str, float] = defaultdict(float)
    for run in runs:
        if run.teacher:
            after[run.teacher] = max(after[run.teacher], left[run.path])
    return {path: own + after[path] for path, own in left.items()}


@dataclass(frozen=True)
class _Unit:
    """Runs for one process. An `early` one would be in a larger cohort if it waited."""

    runs: tuple[Run, ...]
    early: bool = False


def _units(
    free: list[Run], runs: Sequence[Run], left: Mapping[str, str], ledger: Ledger, terms: Terms
) -> Iterable[_Unit]:
    if not terms.cohorts:
        return [_Unit((run,)) for run in free]
    waiting = {run.group for run in runs if left.get(run.path) == "waits for its teacher"}
    units = []
    for group, members in groupby(sorted(free, key=lambda run: run.group), lambda run: run.group):
        whole = list(members)
        parts = ceil(len(whole) / _together(whole, ledger))
        units += [_Unit(tuple(whole[i::parts]), group in waiting) for i in range(parts)]
    return units


def _together(runs: Iterable[Run], ledger: Ledger) -> int:
    return min(ledger.past(run.path).together or 10**9 for run in runs)


def _pack(units: Iterable[_Unit], ledger: Ledger, terms: Terms) -> Iterable[tuple[Request, str]]:
    """Units of one dataset and the same needs, as many to a job as its GPUs take."""
    bins: list[tuple[Resources, list[_Unit]]] = []
    open_bins: dict[tuple[str, Resources], int] = {}
    for unit in units:
        asked = _needs(unit, ledger, terms.site)
        key, size = (unit.runs[0].dataset, asked), max(1, asked.gpus) * terms.runs_per_gpu
        place = open_bins.get(key)
        if place is not None:
            both = [run for one in (*bins[place][1], unit) for run in one.runs]
            if len(bins[place][1]) < size and len(both) <= _together(both, ledger):
                bins[place][1].append(unit)
                continue
        open_bins[key] = len(bins)
        bins.append((asked, [unit]))
    for asked, members in bins:
        groups = tuple(tuple(run.path for run in unit.runs) for unit in members)
        yield Request(groups, asked), members[0].runs[0].dataset


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
