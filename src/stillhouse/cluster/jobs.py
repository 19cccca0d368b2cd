"""The facts about a job, and how it ended once it has left the queue. Plain values only."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil
from typing import Literal

from stillhouse.causes import OUT_OF_MEMORY, cause_of
from stillhouse.cluster.site import Resources
from stillhouse.runs.state import RunState

FAST_SECONDS = 60
NEAR_WALLTIME = 0.9
MUCH_MEMORY = 0.5
KILLED_CODE = 137
CLEAN_CODES = (0, 3)  # all finished; asked to stop, to be resumed
SHOWN = 200
Outcome = Literal["unsent", "vanished", "left", "killed", "failed", "out of memory"]


@dataclass(frozen=True)
class Request:
    """A job to submit: groups of runs, one process each, and their resources."""

    groups: tuple[tuple[str, ...], ...]
    resources: Resources

    @property
    def paths(self) -> tuple[str, ...]:
        """Return all its runs."""
        return tuple(path for group in self.groups for path in group)


@dataclass(frozen=True)
class Job:
    """A job that was to be submitted at `time`; `id` is None until the scheduler returned one.

    `since` holds each run's epochs and attempts at that time.
    """

    number: int
    name: str
    request: Request
    since: dict[str, tuple[int, int]]
    time: float
    id: str | None = None


@dataclass(frozen=True)
class Traces:
    """The files that a job left. `seconds` is the recorded run time."""

    started: bool = False
    exit: int | None = None
    node: str = ""
    seconds: float = 0.0
    output: str = ""


@dataclass(frozen=True)
class Gain:
    """The progress of one run in a job."""

    state: str
    gained: int
    started: bool
    out_of_time: bool
    out_of_memory: bool
    reason: str
    memory: int


@dataclass(frozen=True)
class Ending:
    """How a job ended; `runs` is by path."""

    outcome: Outcome
    reason: str
    exit: int | None
    node: str
    seconds: float
    runs: dict[str, Gain] = field(default_factory=dict)

    @property
    def signature(self) -> str | None:
        """Return the signature of an immediate failure, equal for jobs with the same cause."""
        if self.outcome != "failed" or self.seconds >= FAST_SECONDS:
            return None
        return re.sub(r"\d+", "N", re.sub(r"\S*/\S*", "PATH", self.reason))


def can_close(
    job: Job, listed: bool, traces: Traces, alive: bool, now: float, grace: float
) -> bool:
    """Return whether a job can be closed: it left the queue, and none of its runs has a live
    process.

    A listing may lag, so a job without any file has `grace` seconds to appear.
    """
    if listed or alive:
        return False
    return traces.started or now - job.time > grace


def judge(job: Job, traces: Traces, now: Mapping[str, RunState]) -> Ending:
    """Derive how a job ended from its files and the present state of its runs."""
    facts = (traces.exit, traces.node, traces.seconds)
    if not traces.started and job.id is None:
        return Ending("unsent", "the job never reached the queue", *facts)
    now = {path: now[path] for path in job.request.paths if path in now}
    memory = _ran_out_of_memory(job, traces, now)
    timed = traces.exit is None and traces.seconds > NEAR_WALLTIME * job.request.resources.walltime
    runs = {path: _gain(job, path, state, timed, memory) for path, state in now.items()}
    if not traces.started:
        return Ending("vanished", "the job left the queue before it started", *facts, runs)
    unfinished = [gain for gain in runs.values() if gain.state != "done"]
    if any(gain.out_of_memory for gain in unfinished):
        return Ending("out of memory", "out of memory", *facts, runs)
    failed = [gain for gain in unfinished if gain.state == "failed" and gain.started]
    if failed:
        return Ending("failed", failed[0].reason, *facts, runs)
    if traces.exit is None or traces.exit > 128:
        reason = "killed at its walltime" if timed else "killed without a message"
        return Ending("killed", reason, *facts, runs)
    if traces.exit in CLEAN_CODES or not unfinished:
        return Ending("left", "; ".join(sorted({g.reason for g in unfinished})), *facts, runs)
    return Ending("failed", _last_line(traces.output), *facts, runs)


def _ran_out_of_memory(job: Job, traces: Traces, now: Mapping[str, RunState]) -> bool:
    """Return whether the scheduler reported it, or the process was killed with much memory."""
    if traces.exit in CLEAN_CODES:
        return False
    if any(cause_of(line) in OUT_OF_MEMORY for line in traces.output.splitlines()):
        return True
    begun = {path: one.memory for path, one in now.items() if one.attempts > job.since[path][1]}
    held = sum(max(begun.get(path, 0) for path in group) for group in job.request.groups)
    return traces.exit == KILLED_CODE and held > MUCH_MEMORY * job.request.resources.memory_gb * 1e9


def _gain(job: Job, path: str, now: RunState, timed: bool, memory: bool) -> Gain:
    epoch, attempts = job.since[path]
    started = now.attempts > attempts
    return Gain(
        state=now.name,
        gained=max(0, now.epoch - epoch),
        started=started,
        out_of_time=started and (timed or now.out_of_time),
        out_of_memory=now.name != "done" and (memory or (started and now.out_of_memory)),
        reason=now.reason,
        memory=now.memory,
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"error: |\w*(Error|Exception)\b", line)]
    return (errors or lines or ["no output"])[-1][:SHOWN]


def half(runs: int) -> int:
    """Return how many runs to train together if `runs` did not fit."""
    return ceil(runs / 2)
