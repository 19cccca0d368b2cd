"""One writer a run: an attempt is claimed by renaming a folder to its number.

The folder holds its `claim.json` already, and a folder cannot be renamed onto one that is not
empty, so exactly one process gets the number and no attempt is without a claimant.

No lock is held, so nothing has to be released on a network file system. A writer that was
suspended and wakes up after its successor has started finds a higher number and leaves; until
then it has only written into its own attempt's folder.
"""

from __future__ import annotations

import os
import shutil
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

from stillhouse.errors import RunError
from stillhouse.runs import environment
from stillhouse.runs.files import write_atomic
from stillhouse.runs.folder import Attempt, RunFolder
from stillhouse.runs.records import dump

BEAT_SECONDS = 10.0
EXPIRY_SECONDS = 300.0


class Busy(RunError):
    """Another process is writing this run."""


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
        if attempts and (holder := alive(attempts[-1])):
            raise Busy(f"{folder.path} is being trained by {holder}")
        attempt = folder.attempt(attempts[-1].number + 1 if attempts else 1)
        attempt.path.parent.mkdir(parents=True, exist_ok=True)
        new = attempt.path.with_name(f".new-{uuid4().hex}")
        new.mkdir()
        write_atomic(new / attempt.claim.name, dump(_identity()))
        try:
            new.rename(attempt.path)
        except OSError as error:
            shutil.rmtree(new)
            if not attempt.path.exists():
                raise
            raise Busy(f"{folder.path} was taken by another process just now") from error
        return cls(folder, attempt)

    def superseded(self) -> bool:
        """Whether a later attempt has started, so this one must not write any more."""
        return self.folder.attempt(self.attempt.number + 1).path.exists()

    def write_status(self, state: str, **facts: Any) -> None:
        """Replace the attempt's status; `state` is running, stopped, failed or finished."""
        status = {"state": state, "heartbeat": time.time(), **facts}
        write_atomic(self.attempt.status, dump(status))
        self.beaten = time.monotonic()

    def beat(self, **facts: Any) -> None:
        """Show that the attempt is alive, at most every `BEAT_SECONDS`."""
        if time.monotonic() - self.beaten >= BEAT_SECONDS:
            self.write_status("running", **facts)


def alive(attempt: Attempt, now: float | None = None) -> str | None:
    """Who is writing this attempt, or None if it has ended or its writer is gone.

    On the writer's own host its process is looked up; elsewhere the heartbeat decides.
    """
    status = attempt.read_status()
    if status["state"] != "running":
        return None
    claim = attempt.read_claim()
    if claim and claim["host"] == socket.gethostname():
        here = process_started(claim["pid"]) == claim["started"]
        return f"process {claim['pid']} on this machine" if here else None
    heartbeat = status.get("heartbeat", attempt.path.stat().st_mtime)
    age = (time.time() if now is None else now) - heartbeat
    host = claim["host"] if claim else "an unknown host"
    return f"{host} ({age:.0f} s ago)" if age < EXPIRY_SECONDS else None


def process_started(pid: int) -> str | None:
    """When a process of this machine started, as an opaque text; None if there is none.

    Together with the pid it tells a process from a later one that was given the same number.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return "unknown"
    return "unknown"


def _identity() -> dict[str, Any]:
    job = os.environ.get("PBS_JOBID") or os.environ.get("SLURM_JOB_ID")
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started": process_started(os.getpid()),
        "job": job,
        "source": environment.source(),
        "time": time.time(),
    }
