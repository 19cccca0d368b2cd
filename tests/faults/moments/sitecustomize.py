"""A fault that strikes a worker once, at a named moment, from outside: the program knows nothing.

Python imports this module at its start when this folder is on PYTHONPATH. `FAULT` is a JSON object:
`event` and `name`, which file is about to be touched how (an audit event); `skip`, how many such
passages go by before; `action` and `place`, what then happens to which path; `mark`, a file that
is created then, and stands in the way of a second strike.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SPARE = 4 << 20
LITTLE = 40 << 10


def fill(place: Path) -> None:
    """Take all that is left of a disk."""
    with (place / "filler").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 16)):
                pass
        except OSError:
            return


def nearly_fill(place: Path) -> None:
    """Leave room for a status, but not for a checkpoint."""
    fill(place)
    filler = place / "filler"
    os.truncate(filler, filler.stat().st_size - LITTLE)


def turn_read_only(place: Path) -> None:
    """Mount the folder over itself, read-only: what is open already goes on as it was."""
    subprocess.run(["mount", "--bind", place, place], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)


def move_away(place: Path) -> None:
    """Another name for the folder."""
    place.rename(aside(place))


def aside(place: Path) -> Path:
    """Where `move_away` puts a folder: out of every round's sight."""
    return place.parent / f"moved-{place.name}"


def limit_memory(place: Path) -> None:
    """No more address space than is in use now, and a little."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def kill(place: Path) -> None:
    """As the kernel does when memory is full."""
    os.kill(os.getpid(), signal.SIGKILL)


ACTIONS: dict[str, Callable[[Path], None]] = {
    "fill": fill,
    "nearly fill": nearly_fill,
    "turn read-only": turn_read_only,
    "move away": move_away,
    "remove": shutil.rmtree,
    "limit memory": limit_memory,
    "kill": kill,
}


class Fault:
    """Waits for its moment."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.event, self.name = wanted["event"], wanted["name"]
        self.action, self.place = ACTIONS[wanted["action"]], Path(wanted["place"])
        self.left, self.mark = int(wanted["skip"]), Path(wanted["mark"])

    def listen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: what is about to happen to which file."""
        if event != self.event or not isinstance(arguments[0], str | Path):
            return
        if not Path(arguments[0]).name.startswith(self.name):
            return
        self.left -= 1
        if self.left == -1:
            self.mark.touch()
            self.action(self.place)


def install() -> None:
    """Arm this process if it is a worker and the fault has not struck yet."""
    if "FAULT" not in os.environ or "train" not in sys.orig_argv:
        return
    fault = Fault(json.loads(os.environ["FAULT"]))
    if not fault.mark.exists():
        sys.addaudithook(fault.listen)


install()
