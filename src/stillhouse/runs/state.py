"""Derive the state of a run from its files; states are never written."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

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
    recorded; `status` is what a running attempt last wrote.
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
    attempts = folder.attempts()
    if result := folder.completed():
        return RunState(
            "done", epoch=result["final"]["epoch"], result=result, attempts=len(attempts)
        )
    if not attempts:
        return RunState("missing")
    newest = attempts[-1]
    status = newest.read_status()
    epoch = _epoch(attempts)
    if status["state"] == "finished":
        return RunState("lost", "its result.json is gone", epoch, None, len(attempts))
    if (name := status["state"]) != "running":
        return _ended(name, status, epoch, len(attempts))
    if holder := alive(newest, now):
        return RunState("running", holder, epoch, attempts=len(attempts), status=status)
    return RunState(
        "lost", "its process exited without recording a status", epoch, None, len(attempts)
    )


def _ended(name: Name, status: Status, epoch: int, attempts: int) -> RunState:
    """Return the state that follows from an attempt's recorded end."""
    reason, conflicts = status.get("reason", ""), tuple(status.get("conflicts", ()))
    if "code" not in status:
        reason, conflicts = split_conflicts(reason)
    best = status.get("best_accuracy")
    code = status.get("code") or code_of_reason(reason)
    return RunState(name, reason, epoch, None, attempts, code, conflicts, best)


def _epoch(attempts: list[Attempt]) -> int:
    """Return the finished epochs from the newest attempt that records them."""
    for attempt in reversed(attempts):
        if (epoch := attempt.read_status().get("epoch")) is not None:
            return int(epoch)
    return 0
