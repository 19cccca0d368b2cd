"""One writer a run: an attempt is claimed by renaming a folder to its number.

The folder holds its `claim.json` already, and a folder cannot be renamed onto one that is not
empty, so exactly one process gets the number and no attempt is without a claimant.

No lock is held, so nothing has to be released on a network file system. A writer that was
suspended and wakes up after its successor has started finds a higher number and leaves; until
then it has only written into its own attempt's folder. So a claim that is taken over too early,
as when a clock was wrong, costs time and nothing else.
"""

from __future__ import annotations

import errno
import os
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from stillhouse.errors import RunError
from stillhouse.runs import environment
from stillhouse.runs.files import temporary, write_atomic, write_once
from stillhouse.runs.folder import Attempt, RunFolder
from stillhouse.runs.process import UNKNOWN, Process
from stillhouse.runs.records import Holder, dump

BEAT_SECONDS = 10.0
EXPIRY_SECONDS = 300.0


class Busy(RunError):
    """Another process is writing this run."""


class Superseded(RunError):
    """A later attempt has taken over; this one must not write any more."""


@dataclass
class Claim:
    """The right to write one attempt of a run."""

    folder: RunFolder
    attempt: Attempt
    beaten: float = field(default=0.0)

    @classmethod
    def take(cls, folder: RunFolder) -> Claim:
        """Start the next attempt. Raises Busy if the newest one is alive or was just taken."""
        attempts = folder.attempts()
        if attempts and (writer := alive(attempts[-1])):
            raise Busy(f"{folder.path} is being trained by {writer}")
        attempt = folder.attempt(attempts[-1].number + 1 if attempts else 1)
        attempt.path.parent.mkdir(parents=True, exist_ok=True)
        new = temporary(attempt.path)
        new.mkdir()
        identity = dump(_identity(attempt.number))
        try:
            write_atomic(new / attempt.claim.name, identity)
            new.rename(attempt.path)
        except OSError as error:
            shutil.rmtree(new, ignore_errors=True)
            if not attempt.path.exists():
                raise
            # A network file system may refuse what it has just granted: the claim tells.
            if not attempt.claim.exists() or attempt.claim.read_bytes() != identity:
                raise Busy(f"{folder.path} was taken by another process just now") from error
        return cls(folder, attempt)

    def superseded(self) -> bool:
        """Whether a later attempt has started, so this one must not write any more."""
        return self.folder.attempt(self.attempt.number + 1).path.exists()

    def check(self) -> None:
        """Raise Superseded if this attempt has been overtaken, or released by hand."""
        if self.superseded():
            raise Superseded(f"{self.folder.path}: a later attempt has taken over")
        if self.attempt.released.exists():
            raise Superseded(f"{self.folder.path}: released by `stillhouse reset --unlock`")

    def write_status(self, state: str, **facts: Any) -> None:
        """Replace the attempt's status; `state` is running, stopped, failed or finished."""
        status = dump({"state": state, "heartbeat": time.time(), **facts})
        try:
            write_atomic(self.attempt.status, status)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not self.attempt.status.exists():
                raise
            _overwrite(self.attempt.status, status)
        self.beaten = time.monotonic()

    def beat(self, **facts: Any) -> None:
        """Show that the attempt is alive, at most every `BEAT_SECONDS`.

        Raises Superseded if a later one has taken over meanwhile.
        """
        if time.monotonic() - self.beaten >= BEAT_SECONDS:
            self.check()
            self.write_status("running", **facts)


def alive(attempt: Attempt, now: float | None = None) -> str | None:
    """Who is writing this attempt, or None if it has ended or its writer is gone.

    On the writer's own machine its process is looked up; elsewhere, or if it is stopped, the
    heartbeat decides. One from the future, by a clock that was wrong, counts no more than one as
    far in the past.
    """
    status = attempt.read_status()
    if status["state"] != "running" or attempt.released.exists():
        return None
    claim = attempt.read_claim()
    writer = holder(claim) if claim else None
    if writer and (here := writer.alive()) is not None:
        return f"process {writer.pid} on this machine" if here else None
    heartbeat = status.get("heartbeat", attempt.path.stat().st_mtime)
    age = (time.time() if now is None else now) - heartbeat
    if abs(age) >= EXPIRY_SECONDS:
        return None
    who = f"process {writer.pid} on {writer.host}" if writer else "an unknown host"
    return f"{who} ({ago(age)})"


def ago(seconds: float) -> str:
    """How old a heartbeat is in words; one from the future shows that a clock is wrong."""
    return f"{seconds:.0f} s ago" if seconds >= 0 else f"{-seconds:.0f} s ahead of this clock"


def holder(claim: Holder) -> Process:
    """The process that wrote a claim."""
    space, started = claim.get("space", UNKNOWN), claim["started"] or UNKNOWN
    return Process(claim["host"], space, claim["pid"], started)


def release(attempt: Attempt) -> bool:
    """End by hand the claim of a writer known to be gone; False if it had been ended before."""
    me = Process.me()
    return write_once(attempt.released, dump({"host": me.host, "pid": me.pid, "time": time.time()}))


def _overwrite(path: Path, data: bytes) -> None:
    """Replace a small file in its place, which needs no room on a full disk.

    One write within a block that is there already; blanks cover what was longer.
    """
    with path.open("r+b", buffering=0) as file:
        file.write(data.ljust(path.stat().st_size))


def _identity(attempt: int) -> dict[str, Any]:
    me = Process.me()
    return {
        "attempt": attempt,
        "host": me.host,
        "space": me.space,
        "pid": me.pid,
        "started": me.started,
        "job": os.environ.get("PBS_JOBID") or os.environ.get("SLURM_JOB_ID"),
        "source": environment.source(),
        "time": time.time(),
        "token": uuid4().hex,
    }
