"""Derive the state of a run from its files; states are never written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from stillhouse.causes import OUT_OF_MEMORY
from stillhouse.errors import RunError, code_of, describe, printable
from stillhouse.runs.claim import alive
from stillhouse.runs.folder import Attempt, RunFolder
from stillhouse.runs.old_reasons import code_of_reason, split_conflicts
from stillhouse.runs.records import Result, Status

Name = Literal["done", "running", "failed", "stopped", "lost", "missing", "unreadable"]


@dataclass(frozen=True)
class RunState:
    """The state of a run.

    `name` is `done`, `running`, `failed` (with a reason), `stopped` (resumable), `lost` (its
    process is gone; resumable), `missing` (never started) or `unreadable`. `code` names the cause
    of an end for programs (see `causes`), `reason` for readers. `conflicts` are the contradictions
    in an imported run's records; `best` is its best test accuracy in percent if only that is
    recorded; `status` is what a running attempt last wrote. `heartbeat` is when the newest attempt
    last wrote its status (seconds since 1970), `memory` the most bytes that its process held; a
    completed run's newest attempt is the one that completed it.
    """

    name: Name
    reason: str = ""
    epoch: int = 0
    result: Result | None = None
    attempts: int = 0
    code: str = ""
    conflicts: tuple[str, ...] = ()
    best: float | None = None
    status: Status | None = field(default=None, compare=False)
    heartbeat: float = field(default=0.0, compare=False)
    memory: int = field(default=0, compare=False)

    @property
    def out_of_time(self) -> bool:
        """Whether it stopped because the time allowed to its job was over."""
        return self.name == "stopped" and self.code == "walltime"

    @property
    def out_of_memory(self) -> bool:
        """Whether it failed for lack of memory."""
        return self.name == "failed" and self.code in OUT_OF_MEMORY


def state_of(folder: RunFolder, now: float | None = None) -> RunState:
    """Derive a run's state; a damaged file makes only that run `unreadable`.

    `now` is the time that heartbeats are compared with, for an older copy of the files.
    """
    try:
        found = _derive(folder, now)
    except (RunError, OSError) as error:
        return unreadable(error)
    conflicts = tuple(printable(conflict) for conflict in found.conflicts)
    return replace(found, reason=printable(found.reason), conflicts=conflicts)


def unreadable(error: RunError | OSError) -> RunState:
    """Return the state of a run whose files cannot be read, with the remedy if one is known."""
    if isinstance(error, RunError):
        reason = f"{error.message}: {error.hint}"
    else:
        reason = describe(error) or str(error)
    return RunState("unreadable", printable(reason), code=code_of(error))


def _derive(folder: RunFolder, now: float | None) -> RunState:
    result = folder.completed()
    last = result.get("attempts") if result else None  # then none needs to be looked for
    attempts = [folder.attempt(last)] if last else folder.attempts()
    if not attempts and result is None:
        return RunState("missing")
    status = attempts[-1].read_status() if attempts else Status(state="finished")
    if result is None and status["state"] == "finished":
        result = folder.completed()  # it may have been completed since
    found = _named(attempts, status, result, now)
    return replace(
        found,
        attempts=last or len(attempts),
        heartbeat=status.get("heartbeat", 0.0),
        memory=status.get("memory", 0),
    )


def _named(
    attempts: list[Attempt], status: Status, result: Result | None, now: float | None
) -> RunState:
    """Return the state that the newest attempt's status and the run's result give."""
    if result:
        return RunState("done", epoch=result["final"]["epoch"], result=result)
    epoch = _epoch(attempts)
    if status["state"] == "finished":
        return RunState("lost", "its result.json is gone", epoch)
    if (name := status["state"]) != "running":
        return _ended(name, status, epoch)
    if holder := alive(attempts[-1], now):
        return RunState("running", holder, epoch, status=status)
    return RunState("lost", "its process exited without recording a status", epoch)


def _ended(name: Name, status: Status, epoch: int) -> RunState:
    """Return the state that follows from an attempt's recorded end."""
    reason, conflicts = status.get("reason", ""), tuple(status.get("conflicts", ()))
    if "code" not in status:
        reason, conflicts = split_conflicts(reason)
    best = status.get("best_accuracy")
    code = status.get("code") or code_of_reason(reason)
    return RunState(name, reason, epoch, code=code, conflicts=conflicts, best=best)


def _epoch(attempts: list[Attempt]) -> int:
    """Return the finished epochs from the newest attempt that records them."""
    for attempt in reversed(attempts):
        if (epoch := attempt.read_status().get("epoch")) is not None:
            return int(epoch)
    return 0
