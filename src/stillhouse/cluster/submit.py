"""One pass of `cluster submit`: list once, close finished jobs, submit what is due, exit.

No process stays resident. An intent is written before the scheduler is called, and the id after it
answered, so the next pass can resolve what a killed pass left:

- intent without id, name in the queue: the id is taken from the queue;
- intent without id or files, name not in the queue for `grace` seconds: it was never submitted. If
  that job starts later, its script finds itself closed and exits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from stillhouse.cluster.jobs import Ending, Job, Request, can_close, judge
from stillhouse.cluster.ledger import Ledger
from stillhouse.cluster.policy import Decision, Terms, decide
from stillhouse.cluster.scheduler import Header, QueuedJob, QueueFull, Scheduler
from stillhouse.cluster.script import OUTPUT, Workplace, body
from stillhouse.cluster.store import Store
from stillhouse.cluster.view import Operations, epoch_costs, teachers_ready
from stillhouse.config.renamed import folder_of
from stillhouse.config.teacher_file import ADOPTED, FROZEN
from stillhouse.rounds.survey import Survey


@dataclass
class Pass:
    """What one pass found and did."""

    decision: Decision
    submitted: list[Job]
    closed: list[tuple[Job, Ending]]
    live: int
    full: str = ""


@dataclass(frozen=True)
class Submitter:
    """Everything a pass needs.

    `look` surveys the round, `teachers` is their experiments folder, and `operations` are those of
    one image's forward pass, by dataset and network.
    """

    store: Store
    scheduler: Scheduler
    terms: Terms
    place: Workplace
    look: Callable[[], Survey]
    teachers: Path
    operations: Operations

    def run(self, prolong: Callable[[], None]) -> Pass:
        """Run one pass, under the lock. Raises QueueError, with nothing submitted, if the queue is
        unclear.

        An error while submitting ends the pass; jobs submitted before it remain.
        """
        queue = self.scheduler.jobs()
        ledger = self.store.ledger()
        jobs, closed, survey = reconcile(
            self.store, ledger, queue, self.look, self.terms.site.grace
        )
        decision = self._decide(survey, jobs, queue, ledger)
        done = Pass(decision, [], closed, live(jobs, queue))
        since = {c.config.path: (c.state.epoch, c.state.attempts) for c in survey.cells}
        for request in decision.requests:
            prolong()
            try:
                done.submitted.append(self._submit(request, since))
            except QueueFull as full:
                done.full = full.message
                break
        return done

    def scripts(self, queue: list[QueuedJob]) -> tuple[Decision, list[str]]:
        """Return what a pass would submit now; reads only."""
        ledger = self.store.ledger()
        jobs = self.store.jobs(ledger)
        decision = self._decide(self.look(), jobs, queue, ledger)
        first = max(self.store.numbers(), default=0) + 1
        return decision, [
            self._script(request, self.store.name(number), self.store.folder(number))
            for number, request in enumerate(decision.requests, start=first)
        ]

    def _decide(
        self, survey: Survey, jobs: list[Job], queue: list[QueuedJob], ledger: Ledger
    ) -> Decision:
        own = self.store.path.parent
        homes = {None: own, FROZEN: own / ADOPTED}
        folders = {
            c.config.path: folder_of(homes.get(c.config.teacher.source, self.teachers), path)
            for c in survey.cells
            if c.config.teacher and (path := c.config.teacher_path)
        }
        ready, wrong = teachers_ready(survey, folders)
        decision = decide(
            survey.cells,
            epoch_costs(survey, self.operations),
            ready,
            jobs,
            live(jobs, queue),
            ledger,
            self.terms,
        )
        decision.left |= {path: why for path, why in wrong.items() if path in decision.left}
        return decision

    def _submit(self, request: Request, since: dict[str, tuple[int, int]]) -> Job:
        job = self.store.intend(
            request,
            {path: since[path] for path in request.paths},
            lambda name, folder: self._script(request, name, folder),
        )
        try:
            id = self.scheduler.submit(self.store.folder(job.number) / "script.sh")
        except QueueFull as full:
            self.store.close(job, Ending("unsent", full.message, None, "", 0.0))
            raise
        self.store.identify(job, id)
        return replace(job, id=id)

    def _script(self, request: Request, name: str, folder: Path) -> str:
        lines = body(request, self.terms.site, self.place, folder)
        return self.scheduler.script(Header(name, request.resources, OUTPUT), lines)


def live(jobs: Iterable[Job], queue: list[QueuedJob]) -> int:
    """Return all of the user's jobs: the listed ones, and our own not listed yet."""
    names = {job.name for job in queue}
    return len(queue) + sum(job.name not in names for job in jobs)


def reconcile(
    store: Store, ledger: Ledger, queue: list[QueuedJob], look: Callable[[], Survey], grace: float
) -> tuple[list[Job], list[tuple[Job, Ending]], Survey]:
    """Take ids from the queue and close finished jobs; return the open jobs and the survey used.

    The survey is made after the listing, so that a job which ended between the two has written its
    last record before it is evaluated.
    """
    listed = {job.name: job for job in queue}
    survey = look()
    cells = {cell.config.path: cell for cell in survey.cells}
    still, closed = [], []
    for job in store.jobs(ledger):
        if job.id is None and job.name in listed:
            job = replace(job, id=listed[job.name].id)
            store.identify(job, listed[job.name].id)
        if (ending := store.ending(job)) is None:
            own = [cells[path] for path in job.request.paths if path in cells]
            traces = store.traces(job, max((cell.state.heartbeat for cell in own), default=0.0))
            alive = traces.exit is None and any(cell.state.name == "running" for cell in own)
            if not can_close(job, job.name in listed, traces, alive, time.time(), grace):
                still.append(job)
                continue
            ending = judge(job, traces, {cell.path: cell.state for cell in own})
            store.close(job, ending)
        ledger.close(job, ending)
        closed.append((job, ending))
    if closed:
        store.save(ledger)
    return still, closed, survey
