"""Where the time of a cohort goes: every moment since the last mark belongs to a named part."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import torch

from stillhouse.runs.files import dump_json, write_atomic

Lap = Callable[[str], None]


def no_lap(part: str) -> None:
    """Measure nothing: what every training uses that is not profiled."""


class Laps:
    """Seconds by who spent them (a method, or "" for what a cohort shares) and on which part.

    On a GPU every mark waits for the device, so a profiled training is slower; its bits are the
    same. `counts` holds how often each part was marked, `whole` the seconds of all.
    """

    def __init__(
        self, device: torch.device, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.device, self.clock = device, clock
        self.seconds = defaultdict[tuple[str, str], float](float)
        self.counts = Counter[tuple[str, str]]()
        self.whole = 0.0
        self._last = clock()

    def begin(self) -> None:
        """Let the time before this moment belong to no part."""
        self._last = self.clock()

    def of(self, who: str) -> Lap:
        """Return what `who` calls at the end of each part."""

        def lap(part: str) -> None:
            if self.device.type == "cuda":
                if torch.cuda.is_current_stream_capturing():
                    return  # a graph is being recorded, in which nothing can be waited for
                torch.cuda.synchronize(self.device)
            now = self.clock()
            self.whole += now - self._last
            self.seconds[who, part] += now - self._last
            self.counts[who, part] += 1
            self._last = now

        return lap

    def write(self, file: Path) -> None:
        """Write what was measured so far, for the command that shows it."""
        rows = [
            {"who": who, "part": part, "seconds": spent, "times": self.counts[who, part]}
            for (who, part), spent in self.seconds.items()
        ]
        write_atomic(file, dump_json({"seconds": self.whole, "rows": rows}))
