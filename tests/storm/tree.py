"""The processes of a storm, found by the workspace on their command lines; orphans too."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def processes(root: Path) -> list[int]:
    """The living `stillhouse` processes of a workspace."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"stillhouse" in words and str(root).encode() in words:
                found.append(int(entry.name))
    return sorted(found)


def send(pid: int, number: signal.Signals) -> bool:
    """Whether the process was still there to take it."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
