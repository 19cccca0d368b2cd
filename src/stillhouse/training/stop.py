"""Stop a worker: by a signal, a deadline, or the end of its parent process."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

from stillhouse.causes import Cause
from stillhouse.runs.process import stop_signals

DEADLINE = "the time allowed to the job is over"


class Stop:
    """Called before every step; `reason()` is None while training may continue.

    `until` is the latest time (seconds since 1970) at which a step may begin. `code` is the cause
    that a run records for the last reason.
    """

    code: Cause = "killed"

    def __init__(self, parent: int | None = None, until: float | None = None) -> None:
        self._parent = parent
        self._until = until
        self._signal: str | None = None

    def listen(self) -> None:
        """Turn SIGTERM, SIGINT and SIGHUP into a stop at the next step."""
        for number in stop_signals():
            signal.signal(number, self._note)

    def reason(self) -> str | None:
        """Return the reason to stop, or None."""
        if self._signal:
            return f"received {self._signal}"
        if self._parent is not None and os.getppid() != self._parent:
            return "the process that started this one is gone"
        if self._until is not None and time.time() >= self._until:
            self.code = "walltime"
            return DEADLINE
        return None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number).name
