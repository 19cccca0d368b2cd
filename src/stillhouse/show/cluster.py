"""What `status` and `jobs` show of a round that was submitted: records joined with one listing."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from stillhouse.cluster.jobs import Job
from stillhouse.cluster.policy import obstacle
from stillhouse.cluster.scheduler import QueuedJob, QueueError, Scheduler, no_listing
from stillhouse.cluster.script import OUTPUT
from stillhouse.cluster.site import Site
from stillhouse.cluster.store import Store
from stillhouse.config.renamed import folder_of
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.rounds.workspace import TRASH
from stillhouse.runs.files import read_json
from stillhouse.show.pace import seconds_between
from stillhouse.show.status import Word
from stillhouse.tables import Table

JOB_COLUMNS = (
    "Job",
    "Id",
    "Runs",
    "State",
    "Epochs gained",
    "Exit",
    "Node",
    "Minutes",
    "Memory (GB)",
    "Reason",
)


@dataclass(frozen=True)
class Joined:
    """A word for each run where the jobs know better than the files, and notes."""

    words: dict[str, Word]
    notes: list[str]


def age_of_copy(store: Store, noted: dict[str, Any]) -> float | None:
    """The time of the newest sign in a copy of the round's files; None where they are written."""
    if Path(noted["root"]) == store.path.parent.parent.resolve():
        return None
    newest = noted["time"]
    for status in store.path.parent.rglob("attempts/*/status.json"):
        if TRASH in status.parts:
            continue
        try:
            newest = max(newest, read_json(status).get("heartbeat", 0.0))
        except RunError:
            continue  # `status` lists the run as unreadable
    return float(newest)


def copy_note(store: Store) -> tuple[float | None, str]:
    """The time of a copy's files and a sentence that says how old they are."""
    noted = store.last_options()
    made = age_of_copy(store, noted) if noted else None
    if made is None:
        return None, ""
    age = timedelta(seconds=max(0, round(time.time() - made)))
    return made, f"a copy: its newest sign of life is {age} old (h:mm:ss)"


def listing(site: Site) -> tuple[list[QueuedJob] | None, str]:
    """The queue, or None and why it is not known."""
    if why := no_listing(site):
        return None, why
    try:
        return Scheduler(site).jobs(), ""
    except QueueError as error:
        return None, error.message


def join(store: Store, noted: dict[str, Any], survey: Survey, copy: bool) -> Joined:
    """What the jobs say of each run.

    Without a listing, and on a copy, a job that is not closed is taken for queued, and what runs
    is taken from the heartbeats.
    """
    site, ledger = Site.model_validate(noted["profile"]), store.ledger()
    queue, trouble = (None, "") if copy else listing(site)
    notes = [trouble] if trouble else []
    if ledger.halt:
        notes.append(
            f"nothing is submitted: {ledger.halt}; go on with: stillhouse cluster retry ROUND"
        )
    jobs = {path: job for job in store.jobs(ledger) for path in job.request.paths}
    listed = {job.name for job in queue} if queue is not None else None
    words = {}
    for cell in survey.cells:
        if cell.state.name == "done":
            continue
        job = jobs.get(cell.path)
        gone = job is not None and listed is not None and job.name not in listed
        why = obstacle(cell, False, True, ledger, site)
        if cell.state.name == "running":
            words[cell.path] = Word("running", _of(cell) + _where(cell))
        elif job is not None and not gone:
            words[cell.path] = Word("queued", f"({job.id or job.name})")
        elif why and why.kind in ("stuck", "out of memory"):
            words[cell.path] = Word(why.kind)
            notes.append(f"{cell.path}: {why.text}")
        elif cell.state.name in ("stopped", "lost"):
            words[cell.path] = Word("needs more", _of(cell))
        elif cell.state.name == "missing":
            words[cell.path] = Word("eligible" if cell.ready else "waiting for teacher")
    return Joined(words, notes)


def _of(cell: Cell) -> str:
    return f"{cell.state.epoch}/{cell.config.training.epochs}"


def _where(cell: Cell) -> str:
    """The node, and when the run will be over at the pace of its last epochs."""
    node = read_json(cell.folder.attempts()[-1].claim).get("host", "")
    times = [one["time"] for one in cell.folder.records() if "time" in one]
    seconds = seconds_between(time["ended"] for time in times if "ended" in time)
    if seconds is None:
        return f" on {node}"
    return f" on {node}, {timedelta(seconds=round(cell.left * seconds))} left"


def jobs_table(store: Store, only: Collection[str] | None = None) -> Table:
    """Every job of the workspace, or those that trained some runs, with what became of them."""
    rows = []
    for number in store.numbers():
        job = store.job(number)
        if only is None or not set(only).isdisjoint(job.request.paths):
            rows.append(_row(store, job))
    title = f"{len(rows)} jobs" + (f" of {', '.join(only)}" if only and len(only) == 1 else "")
    return Table(title, JOB_COLUMNS, tuple(rows))


def last_lines(store: Store, run: str, count: int) -> Table:
    """The last lines of a run's newest log and of its newest job's output, one per row."""
    attempts = folder_of(store.path.parent, run).attempts()
    files = [attempts[-1].log] if attempts else []
    numbers = [number for number in store.numbers() if run in store.job(number).request.paths]
    files += [store.folder(number) / OUTPUT for number in numbers[-1:]]
    rows = tuple(
        (str(file), number, line)
        for file in files
        if file.exists()
        for number, line in _tail(file.read_text(errors="replace").splitlines(), count)
    )
    return Table(f"logs of {run}", ("File", "Line", "Text"), rows, empty="there is no log yet")


def _tail(lines: list[str], count: int) -> list[tuple[int, str]]:
    return list(enumerate(lines, start=1))[-count:]


def _row(store: Store, job: Job) -> tuple[str | int | float | None, ...]:
    paths = job.request.paths
    runs = paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
    ending = store.ending(job)
    if ending is None:
        return (job.name, job.id, runs, "open", *[None] * 6)
    held = max((gain.memory for gain in ending.runs.values()), default=0)
    return (
        job.name,
        job.id,
        runs,
        ending.outcome,
        sum(gain.gained for gain in ending.runs.values()),
        ending.exit,
        ending.node or None,
        round(ending.seconds / 60, 1),
        round(held / 1e9, 1) if held else None,
        ending.reason or None,
    )
