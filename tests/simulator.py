"""A cluster on paper: the real policy against a scheduler in which everything goes wrong.

`decide`, `judge`, `over` and the ledger are the ones that `cluster submit` uses; simulated are
the queue, the nodes, the training and the clock. A pass comes every five minutes. What goes
wrong: `qstat` fails or leaves a new job out, `qsub` fails before or after the job is in the queue,
the pass dies around it, nodes fail, and some jobs miss their deadline and are killed.

    python tests/simulator.py        prints the figures of docs/clusters.md
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count, product
from pathlib import Path
from random import Random
from statistics import mean

from stillhouse.cluster.jobs import Job, Request, Traces, can_close, judge
from stillhouse.cluster.ledger import Ledger
from stillhouse.cluster.policy import Terms, decide
from stillhouse.cluster.site import Site
from stillhouse.config.schema import RunConfig, Teacher, Training
from stillhouse.rounds.survey import Cell, own_teacher
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.state import RunState

HOUR = 3600.0
PASS = 300.0
HEARTBEAT_EXPIRY = 300.0
CHECKPOINT = 60.0
IMPORT = 30.0
MEAN_WAIT = 60.0
MEAN_LAG = 200.0
EPOCHS = 150
FLAKY_LISTING = 0.05
LAGGING_LISTING = 0.02
FAILED_SUBMISSION = 0.02
MISSED_DEADLINE = 0.02
NODE_FAILURES_PER_HOUR = 0.01
DATASETS = {"Cifar10": 1.0, "Cifar100": 1.0, "SVHN": 1.5, "TinyImageNet": 8.0}


def site(cap: int) -> Site:
    resources = {"cpus": 10, "memory_gb": 32, "gpus": 1, "walltime": "2:00:00"}
    return Site.model_validate({"scheduler": "pbs", "cap": cap, "resources": resources})


def matrix(students: int, seeds: int) -> list[Cell]:
    """Four datasets, a teacher and so many students a seed: 4 x seeds x (1 + students) runs.

    The first student of each seed is a pure one.
    """
    cells = []
    for dataset, seed in product(DATASETS, range(seeds)):
        teacher = Teacher(model="big", seed=seed)
        cells.append(_cell(dataset, "pure", "big", seed, None))
        for number in range(students):
            method = f"m{number}" if number else "pure"
            cells.append(_cell(dataset, method, "small", seed, teacher if number else None))
    return cells


def _cell(dataset: str, method: str, model: str, seed: int, teacher: Teacher | None) -> Cell:
    training = Training(epochs=EPOCHS)
    run = RunConfig(
        dataset=dataset, method=method, model=model, seed=seed, teacher=teacher, training=training
    )
    return Cell(run, RunFolder(Path()), RunState("missing"), None)


@dataclass
class Live:
    """A job as the scheduler and the node know it; times are absolute, infinite if never."""

    job: Job
    seen: float
    start: float
    end: float = float("inf")
    traces: Traces = field(default_factory=Traces)
    dead: bool = False


@dataclass
class Report:
    """What one simulation came to; hours, and what the lower bound is."""

    runs: int
    makespan: float
    bound: float
    passes: int
    listings: int
    jobs: int
    most_jobs_a_pass: int
    most_in_queue: int
    faults: int

    @property
    def ratio(self) -> float:
        return self.makespan / self.bound


class World:
    """One simulation. Raises AssertionError where a run is trained twice at once."""

    leave_closed = True

    def __init__(self, cells: list[Cell], cap: int, seed: int, hour_share: float = 0.4) -> None:
        self.random = Random(seed)
        self.cells = {cell.path: cell for cell in cells}
        self.costs = {path: DATASETS[cell.config.dataset] for path, cell in self.cells.items()}
        self.taught_by = {path: own_teacher(cell.config) for path, cell in self.cells.items()}
        self.terms = Terms(site(cap))
        self.walltime = self.terms.site.resources.walltime
        # Hidden from the policy: how long an epoch really takes, here with teachers twice as slow.
        self.pace = {
            path: self.costs[path] * hour_share * HOUR / 24
            * (2 if cell.config.model == "big" else 1) * self.random.lognormvariate(0, 0.2)
            for path, cell in self.cells.items()
        }  # fmt: skip
        self.trained = dict.fromkeys(self.cells, 0.0)
        self.until: dict[str, float] = {}
        self.clock, self.faults = 0.0, 0
        self.ledger, self.numbers = Ledger(), count(1)
        self.open: dict[int, Job] = {}
        self.closed: set[int] = set()
        self.live: dict[str, Live] = {}
        self.training: dict[str, str] = {}
        self.events: list[tuple[float, int, str, str]] = []
        self.order = count()
        self.passes = self.listings = self.most = self.fullest = 0

    def change(self, path: str, **changes: object) -> None:
        """Give a run another state."""
        cell = self.cells[path]
        self.cells[path] = replace(cell, state=replace(cell.state, **changes))  # type: ignore[arg-type]

    def at(self, when: float, what: str, name: str = "") -> None:
        heapq.heappush(self.events, (when, next(self.order), what, name))

    def go(self, most_passes: int) -> Report:
        self.at(0.0, "pass")
        left = len(self.cells)
        while left:
            self.clock, _, what, name = heapq.heappop(self.events)
            if what == "pass":
                assert self.passes < most_passes, f"{left} runs left after {self.passes} passes"
                self.submit_pass()
                self.at(self.clock + PASS, "pass")
            elif what == "start":
                self.start(self.live[name])
            elif what == "end":
                left -= self.finish(self.live[name])
        jobs = next(self.numbers) - 1
        return Report(
            len(self.cells), self.clock / HOUR, self.bound() / HOUR, self.passes, self.listings,
            jobs, self.most, self.fullest, self.faults,
        )  # fmt: skip

    def bound(self) -> float:
        work = {path: EPOCHS * pace for path, pace in self.pace.items()}
        chain = max(own + work.get(str(self.taught_by[path]), 0.0) for path, own in work.items())
        return max(sum(work.values()) / self.terms.site.cap, chain)

    # --- the node ---------------------------------------------------------------------------

    def start(self, live: Live) -> None:
        path = live.job.request.paths[0]
        if self.leave_closed and live.job.number in self.closed:  # the script finds ending.json
            self.leave(live)
            return
        assert path not in self.training, f"{path} is trained by two jobs"
        assert self.cells[path].state.name != "done", f"{path} is trained again"
        self.training[path] = live.job.name
        live.traces = Traces(True, None, "node", 0.0, "")
        needed = IMPORT + EPOCHS * self.pace[path] - self.trained[path]
        allowed = self.walltime - self.terms.site.margin
        ends = min(needed, allowed)
        broken = self.random.expovariate(NODE_FAILURES_PER_HOUR / HOUR)
        if needed > allowed and self.random.random() < MISSED_DEADLINE:
            ends = self.walltime
            live.dead = True
        if broken < ends:
            ends, live.dead = broken, True
        self.faults += live.dead
        attempts = self.cells[path].state.attempts + 1
        self.change(path, name="running", attempts=attempts, reason="")
        self.at(self.clock + ends, "end", live.job.name)
        live.start = self.clock

    def finish(self, live: Live) -> bool:
        """The job's end; whether its run is done."""
        path, ran = live.job.request.paths[0], self.clock - live.start
        gained = max(0.0, ran - IMPORT)
        if live.dead:
            gained -= gained % CHECKPOINT
            self.until[path] = self.clock + HEARTBEAT_EXPIRY
        self.trained[path] += gained
        done = not live.dead and self.trained[path] >= EPOCHS * self.pace[path] - 1e-6
        epoch = EPOCHS if done else int(self.trained[path] / self.pace[path])
        state = "done" if done else "running" if live.dead else "stopped"
        self.change(path, name=state, epoch=epoch, code="walltime" if state == "stopped" else "")
        code = None if live.dead else 0 if done else 3
        live.traces = Traces(True, code, "node", ran, "")
        del self.training[path]
        self.leave(live)
        return done

    def leave(self, live: Live) -> None:
        live.end = self.clock

    # --- the submitting pass ----------------------------------------------------------------

    def submit_pass(self) -> None:
        self.passes += 1
        self.listings += 1
        if self.random.random() < FLAKY_LISTING:
            self.faults += 1
            return
        listed = {name for name, live in self.live.items() if live.end > self.clock >= live.seen}
        for path in [path for path, until in self.until.items() if until <= self.clock]:
            self.change(path, name="lost")
            del self.until[path]
        self.reconcile(listed)
        taught = {
            path for path, teacher in self.taught_by.items()
            if teacher is None or self.cells[teacher].state.name == "done"
        }  # fmt: skip
        unlisted = sum(job.name not in listed for job in self.open.values())
        in_queue = len(listed) + unlisted
        decision = decide(
            list(self.cells.values()),
            self.costs,
            taught,
            list(self.open.values()),
            in_queue,
            self.ledger,
            self.terms,
        )
        assert not decision.halt
        self.most = max(self.most, len(decision.requests))
        for request in decision.requests:
            if not self.submit(request):
                break
        alive = sum(
            live.end > self.clock and live.job.number not in self.closed
            for live in self.live.values()
        )
        self.fullest = max(self.fullest, alive)
        assert alive <= self.terms.site.cap

    def reconcile(self, listed: set[str]) -> None:
        for job in list(self.open.values()):
            live = self.live.get(job.name)
            if job.id is None and job.name in listed:
                job = replace(job, id=job.name)
                self.open[job.number] = job
            traces = live.traces if live else Traces()
            path = job.request.paths[0]
            alive = traces.exit is None and self.cells[path].state.name == "running"
            if can_close(job, job.name in listed, traces, alive, self.clock, self.terms.site.grace):
                ending = judge(job, traces, {path: self.cells[path].state})
                self.ledger.close(job, ending)
                self.closed.add(job.number)
                del self.open[job.number]
                if live is not None and live.end <= self.clock:
                    del self.live[job.name]

    def submit(self, request: Request) -> bool:
        """Intent, submission, id; whether the pass may go on."""
        number, path = next(self.numbers), request.paths[0]
        now = self.cells[path].state
        job = Job(number, f"kd{number}", request, {path: (now.epoch, now.attempts)}, self.clock)
        self.open[number] = job
        fault = self.random.random() < FAILED_SUBMISSION
        self.faults += fault
        if fault and self.random.random() < 0.5:
            return False
        lags = self.random.random() < LAGGING_LISTING
        lag = self.random.expovariate(1 / MEAN_LAG) if lags else 0.0
        start = self.clock + self.random.expovariate(1 / MEAN_WAIT)
        self.live[job.name] = Live(job, self.clock + lag, start)
        self.at(start, "start", job.name)
        if not fault:
            self.open[number] = replace(job, id=job.name)
        return not fault


def campaign(students: int, seeds: int, cap: int, worlds: int, share: float) -> Iterator[Report]:
    for seed in range(worlds):
        runs = matrix(students, seeds)
        world = World(runs, cap, seed, share)
        # Twice the passes that the bound would take at one every five minutes.
        yield world.go(most_passes=int(2 * world.bound() / PASS) + 100)


def line(reports: list[Report]) -> str:
    first, ratios = reports[0], [one.ratio for one in reports]
    return (
        f"| {first.runs:,} | {len(reports)} | {mean(one.makespan for one in reports):.0f} h "
        f"| {mean(ratios):.3f} | {max(ratios):.3f} | {mean(one.jobs for one in reports):,.0f} "
        f"| {mean(one.passes for one in reports):,.0f} "
        f"| {mean(one.listings / one.passes for one in reports):.0f} "
        f"| {max(one.most_jobs_a_pass for one in reports)} "
        f"| {max(one.most_in_queue for one in reports)} "
        f"| {mean(one.faults for one in reports):,.0f} |"
    )


def main() -> None:
    print(
        "| runs | seeds | makespan | over bound, mean | worst | jobs | passes | queue calls a pass "
        "| most jobs a pass | most in queue | faults |\n" + "|---" * 11 + "|"
    )
    for students, seeds, cap, worlds in ((12, 6, 10, 100), (24, 100, 200, 3)):
        print(line(list(campaign(students, seeds, cap, worlds, 0.4))), flush=True)


if __name__ == "__main__":
    main()
