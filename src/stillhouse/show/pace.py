"""How fast a round is trained, and how long the rest takes at that pace."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from statistics import median

MIN_SECONDS = 3.0
SAMPLES = 50


class Pace:
    """Work and images done over time. The pace is that of the later half of the time so far, so
    that early runs of another kind count less and less.
    """

    def __init__(self, now: float) -> None:
        self.started = now
        self.samples = [(now, 0.0, 0.0)]

    def add(self, now: float, work: float, images: float) -> None:
        """Note what has been done in all up to `now`."""
        spacing = (now - self.started) / SAMPLES
        if len(self.samples) > 1 and now - self.samples[-2][0] < spacing:
            self.samples.pop()
        self.samples.append((now, work, images))
        half = (self.started + now) / 2
        while len(self.samples) > 2 and self.samples[1][0] <= half and self.samples[1][1] < work:
            self.samples.pop(0)

    def images_per_second(self) -> float | None:
        """Images that all runs together are trained on; None where too little was seen."""
        return self._per_second(2)

    def seconds_left(self, work: float) -> float | None:
        """What `work` more will take; None where too little was seen to say so."""
        rate = self._per_second(1)
        return work / rate if rate else None

    def _per_second(self, column: int) -> float | None:
        first, last = self.samples[0], self.samples[-1]
        seconds = last[0] - first[0]
        gained = last[column] - first[column]
        return gained / seconds if seconds >= MIN_SECONDS and gained > 0 else None


def seconds_between(ended: Iterable[float]) -> float | None:
    """Return the seconds on the clock from one epoch's end to the next; None below two epochs.

    They hold what a run waits for in its cohort: the other runs' steps, the teacher, loading. A
    run's recorded seconds are its own alone. The median of the last three spans leaves a pause out.
    """
    last = list(ended)[-4:]
    return median(b - a for a, b in pairwise(last)) if len(last) > 1 else None


def about(seconds: float | None) -> str:
    """A time left as it can be known: `about 40 s left`, `about 3 min left`, `about 2.5 h left`."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 55:
        return f"about {max(5, 5 * round(seconds / 5))} s left"
    if seconds < 5400:
        return f"about {max(1, round(seconds / 60))} min left"
    hours = seconds / 3600
    return f"about {hours:.1f} h left" if hours < 48 else f"about {hours / 24:.1f} days left"
