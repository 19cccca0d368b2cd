"""Which process extracts a run, so that several divide a round among themselves.

A claim is a file with the process's name, whose time of change is its heartbeat. One that was
taken over too early, as when a clock was wrong, costs time and nothing else: both processes write
the same file, each in one step.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stillhouse.runs.claim import BEAT_SECONDS, EXPIRY_SECONDS
from stillhouse.runs.files import sweep, write_once
from stillhouse.runs.process import Process

FILE = "representations.claim"


@dataclass
class Claim:
    """The claim of this process on one folder; `release` it."""

    path: Path
    beaten: float = field(default_factory=time.monotonic)

    @classmethod
    def take(cls, folder: Path) -> Claim | None:
        """A claim, or None if another process that lives has one."""
        path = folder / FILE
        tidy(folder)
        return cls(path) if write_once(path, str(Process.me()).encode()) else None

    def beat(self) -> None:
        """Show that the process is alive, at most every `BEAT_SECONDS`."""
        if time.monotonic() - self.beaten >= BEAT_SECONDS:
            self.beaten = time.monotonic()
            with suppress(FileNotFoundError):  # taken over: both write the same
                os.utime(self.path)

    def release(self) -> None:
        """Let others have the folder."""
        self.path.unlink(missing_ok=True)


def holder(folder: Path) -> str | None:
    """Who extracts in a folder; None if nobody does, or if the process is gone."""
    path = folder / FILE
    try:
        text, changed = path.read_text(errors="replace"), path.stat().st_mtime
    except FileNotFoundError:
        return None
    process = Process.parse(text)
    alive = process.alive() if process else None
    if alive is None:
        alive = abs(time.time() - changed) < EXPIRY_SECONDS
    if not alive:
        return None
    return f"process {process.pid} on {process.host}" if process else "another process"


def tidy(folder: Path) -> None:
    """Remove what a process that is gone left in a folder."""
    sweep(folder)
    if holder(folder) is None:
        (folder / FILE).unlink(missing_ok=True)
