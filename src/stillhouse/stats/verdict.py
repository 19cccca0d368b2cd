"""From an interval to a word: what a difference to the pure student amounts to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from stillhouse.stats.inference import Difference
from stillhouse.stats.power import ALPHA, seeds_needed
from stillhouse.stats.summary import MIN_SEEDS

Word = Literal["helps", "hurts", "equivalent", "inconclusive", "failed", "unfinished", "missing"]
LABELS = {"missing": "no run yet", "unfinished": "not finished"}
MARGIN = 0.2


@dataclass(frozen=True)
class Verdict:
    """`needs`: about how many seeds per arm this gap needs, None if not known or over a thousand.

    `disputed`: whether a test that serves as a check does not confirm it.
    """

    word: Word
    n: int = 0
    margin: float = MARGIN
    needs: int | None = None
    disputed: bool = False

    @property
    def label(self) -> str:
        """The verdict without figures: `helps (tests disagree)`, `equivalent`, `no run yet`."""
        doubt = " (tests disagree)" if self.disputed else ""
        return LABELS.get(self.word, self.word) + doubt

    def text(self) -> str:
        """`helps`, `equivalent (±0.2)`, `inconclusive (n = 1): needs about 14 seeds`, ..."""
        if self.word == "equivalent":
            return f"{self.label} (±{self.margin:g})"
        if self.word != "inconclusive":
            return self.label
        few = f" (n = {self.n})" if self.n < MIN_SEEDS else ""
        needs = f": needs about {self.needs} seeds" if self.needs else ""
        return f"{self.label}{few}{needs}"


def judge(
    found: Difference,
    adjusted: float | None,
    margin: float,
    spread: float | None,
    family: int,
    checks: Sequence[float | None] = (),
) -> Verdict:
    """The verdict on a difference.

    equivalent: the interval lies within ±`margin`. helps, hurts: it lies above or below 0 and the
    Holm-`adjusted` p is below 0.05. Else inconclusive, with the seeds at which a difference of
    this size is found with 80 % power at 0.05 / `family`; `spread` is the sd to assume where the
    comparison has none of its own. `checks` are the p-values of other tests.
    """
    disputed = any(p is not None and p >= ALPHA for p in checks)
    if found.low is None or found.high is None:
        # A spread that the test images do not resolve says nothing of the seeds needed.
        few = found.n < MIN_SEEDS
        needs = _needs(found, spread, family, pooled=True) if few else None
        return Verdict("inconclusive", found.n, margin, needs)
    if max(abs(found.low), abs(found.high)) <= margin:
        return Verdict("equivalent", found.n, margin)
    if adjusted is not None and adjusted < ALPHA and found.low * found.high > 0:
        word: Word = "helps" if found.low > 0 else "hurts"
        return Verdict(word, found.n, margin, disputed=disputed)
    return Verdict("inconclusive", found.n, margin, _needs(found, found.sd, family, pooled=False))


def _needs(found: Difference, sd: float | None, family: int, pooled: bool) -> int | None:
    if not sd or found.value == 0:
        return None
    test = "welch" if pooled else found.test
    return seeds_needed(found.value, sd, test, ALPHA / max(family, 1))
