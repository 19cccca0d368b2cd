"""Identify the process that wrote a file, and check whether it still runs."""

from __future__ import annotations

import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path

UNKNOWN = "unknown"
STOPPED = ("T", "t")


@dataclass(frozen=True)
class Process:
    """A process on a machine; `started` distinguishes it from a later one with the same number.

    `space` is the pid namespace: containers with the same host name have separate process numbers.
    """

    host: str
    space: str
    pid: int
    started: str

    @classmethod
    def me(cls) -> Process:
        """Return this process."""
        pid = os.getpid()
        return cls(socket.gethostname(), _space(), pid, process_started(pid) or UNKNOWN)

    @classmethod
    def parse(cls, text: str) -> Process | None:
        """Parse `str(process)`; None if the text names no process."""
        parts = text.rsplit("-", 3)
        if len(parts) != 4 or not parts[2].isdecimal():
            return None
        return cls(parts[0], parts[1], int(parts[2]), parts[3])

    def __str__(self) -> str:
        return f"{self.host}-{self.space}-{self.pid}-{self.started}"

    def alive(self) -> bool | None:
        """Return whether it still runs; None if that is not visible from here, or if it is stopped.

        A stopped process may never continue: a suspended one can outlive its job.
        """
        if (self.host, self.space) != (socket.gethostname(), _space()):
            return None
        if process_started(self.pid) != self.started:
            return False
        return None if _state(self.pid) in STOPPED else True


def stop_signals() -> list[signal.Signals]:
    """Return the signals that ask a command to stop and be resumed later.

    SIGHUP (a closed terminal) is one of them unless it is ignored, as with `nohup`.
    """
    asking = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        asking.append(signal.SIGHUP)
    return asking


def process_started(pid: int) -> str | None:
    """Return when a process of this machine started, as an opaque text; None if there is none.

    Together with the pid it distinguishes a process from a later one with the same number.
    """
    try:
        fields = _fields(pid)
        return None if fields[0] == "Z" else fields[19]
    except (FileNotFoundError, ProcessLookupError):
        if Path("/proc/self/stat").exists():
            return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except PermissionError:
        return UNKNOWN
    return UNKNOWN


def _fields(pid: int) -> list[str]:
    """Return the kernel's fields for a process of this machine, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _state(pid: int) -> str:
    try:
        return _fields(pid)[0]
    except (FileNotFoundError, ProcessLookupError):
        return UNKNOWN


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return UNKNOWN
