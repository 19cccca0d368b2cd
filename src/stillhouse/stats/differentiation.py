"""How far the arms of a round differ beyond their seeds, beside another round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from stillhouse.stats.inference import pooled_sd

SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Differentiation:
    """The spread between arms and between the seeds of an arm, in points.

    `between` is the sample standard deviation of the arms' means, `within` the pooled one of the
    seeds of an arm, `p` that of a one-way analysis of variance (all arms have one mean).
    """

    arms: int
    runs: int
    between: float
    within: float
    p: float

    @property
    def ratio(self) -> float:
        """How many times as far the arms spread as the seeds."""
        return self.between / self.within

    def more_than(self, other: Differentiation) -> bool:
        """Whether the arms differ beyond the seeds, and by a larger ratio than the other's."""
        return self.p < SIGNIFICANT and self.ratio > other.ratio


def differentiation(groups: Sequence[Sequence[float]]) -> Differentiation | None:
    """Compare arms, each given by the accuracies of its seeds in percent.

    None below two arms, without an arm of three seeds, or where no seed differs from another.
    An arm of one or two seeds counts with its mean.
    """
    from scipy import stats  # slow to import, and seldom needed

    found = [group for group in groups if group]
    within = pooled_sd(found)
    if len(found) < 2 or not within:
        return None
    p = float(stats.f_oneway(*found).pvalue)
    runs = sum(len(group) for group in found)
    return Differentiation(len(found), runs, stdev(mean(group) for group in found), within, p)
