"""One writer per run: an attempt is claimed by renaming a folder to its number.

The folder already holds its `claim.json`, and a folder cannot be renamed onto one that is not
empty. So exactly one process gets the number, and every attempt has a claim.

There is no lock to release on a network file system. A writer that was suspended and wakes up after
its successor has started finds a higher number and stops; until then it has written only into its
own attempt's folder. A claim that is taken over too early, because a clock was wrong, costs only
time.
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

BEAT_SECONDS, FIRST_BEAT_SECONDS = 10.0, 1.0
EXPIRY_SECONDS = 300.0


class Busy(RunError):
    """Another process is writing this run."""


class Superseded(RunError):
    """A later attempt has taken over; this one must stop writing."""


@dataclass
class Claim:
    """The right to write one attempt of a run."""

    folder: RunFolder
    attempt: Attempt
    beaten: float = field(default=0.0)
    taken: float = field(default_factory=time.monotonic)

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
            # A network file system may report a failure after success: compare the claim.
            if not attempt.claim.exists() or attempt.claim.read_bytes() != identity:
                raise Busy(f"{folder.path} was claimed by another process just now") from error
        return cls(folder, attempt)

    def superseded(self) -> bool:
        """Return whether a later attempt has started; this one must then stop writing."""
        return self.folder.attempt(self.attempt.number + 1).path.exists()

    def check(self) -> None:
        """Raise Superseded if a later attempt has started or this one was released by hand."""
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

    def due(self) -> bool:
        """Whether to beat again: within seconds after the start, later every `BEAT_SECONDS`."""
        now = time.monotonic()
        wait = min(BEAT_SECONDS, max(FIRST_BEAT_SECONDS, (now - self.taken) / 4))
        return now - self.beaten >= wait

    def beat(self, **facts: Any) -> None:
        """Write a heartbeat. Raises Superseded if a later one has taken over."""
        self.check()
        self.write_status("running", **facts)


def alive(attempt: Attempt, now: float | None = None) -> str | None:
    """Return who writes this attempt, or None if it has ended or its writer is gone.

    On the writer's own machine its process is looked up. Elsewhere, or if the process is stopped,
    the age of the heartbeat decides. A heartbeat from the future (a wrong clock) is treated like
    one equally far in the past.
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
    """Return the age of a heartbeat in words; one from the future shows that a clock is wrong."""
    return f"{seconds:.0f} s ago" if seconds >= 0 else f"{-seconds:.0f} s ahead of this clock"


def holder(claim: Holder) -> Process:
    """Return the process that wrote a claim."""
    space, started = claim.get("space", UNKNOWN), claim["started"] or UNKNOWN
    return Process(claim["host"], space, claim["pid"], started)


def release(attempt: Attempt) -> bool:
    """End the claim of a writer known to be gone; False if it had ended before."""
    me = Process.me()
    return write_once(attempt.released, dump({"host": me.host, "pid": me.pid, "time": time.time()}))


def _overwrite(path: Path, data: bytes) -> None:
    """Overwrite a small file in place, which needs no space on a full disk.

    It is one write into existing blocks; blanks replace the rest of a longer old content.
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
