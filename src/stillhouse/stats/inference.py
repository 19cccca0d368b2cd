"""Differences between arms: intervals, p-values, effect sizes. Pure functions of numbers.

Every value is an accuracy of one run, in percent; a difference is in percentage points. With
fewer than three runs on a side, or where the interval would be narrower than one test image, there
is no interval and no p-value (docs/statistics.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, lgamma, sqrt
from statistics import mean, stdev
from typing import Literal

import numpy as np
from scipy import special

from stillhouse.stats.summary import MIN_SEEDS, Summary, summarise

Test = Literal["paired", "welch"]
LEVEL = 0.95
_ENDS = (1e-15, 1 - 1e-15)


@dataclass(frozen=True)
class Difference:
    """A mean difference a - b.

    `low`, `high` (95 % t-interval), `p` (two-sided) and `sd` are None where there is no interval.
    `n` counts the pairs, or the runs of the smaller side; `sd` is what the interval rests on: of
    the differences if paired, else the root of the two variances' mean.
    """

    test: Test
    n: int
    value: float
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None

    @property
    def why(self) -> str:
        """Why there is no interval; empty if there is one."""
        if self.low is not None:
            return ""
        if self.n < MIN_SEEDS:
            return "fewer than three seeds"
        return "the interval would be narrower than one test image"


def difference(
    a: Mapping[int, float],
    b: Mapping[int, float],
    test: Test,
    resolution: float = 0.0,
) -> Difference | None:
    """The difference of two arms' accuracies by seed; None if there is nothing to compare.

    `paired` uses the seeds that both have: mean(a - b) with Student's t on n - 1 degrees of
    freedom. `welch` uses all runs, with the degrees of freedom of Welch (1947), Satterthwaite
    (1946). `resolution` is what one test image is worth in points: no interval is narrower.
    """
    if test == "paired":
        seeds = sorted(set(a) & set(b))
        found = _paired([a[seed] - b[seed] for seed in seeds]) if seeds else None
    else:
        found = _welch(list(a.values()), list(b.values())) if a and b else None
    if found is None or found.low is None or found.high is None:
        return found
    narrow = found.high - found.low < resolution
    return Difference(found.test, found.n, found.value) if narrow else found


def _paired(gaps: list[float]) -> Difference:
    n, centre = len(gaps), mean(gaps)
    if n < MIN_SEEDS:
        return Difference("paired", n, centre)
    spread = stdev(gaps)
    return Difference("paired", n, centre, spread, *_student(centre, spread / sqrt(n), n - 1))


def published_difference(ours: Summary, theirs: Summary) -> Difference | None:
    """The difference of an arm's mean to a published one; None without both means.

    Welch's interval where the published mean has a standard deviation; else the interval of the
    arm's own mean (Student's t), as if the published one were exact.
    """
    if ours.mean is None or theirs.mean is None:
        return None
    centre = ours.mean - theirs.mean
    if ours.std is None:
        return Difference("welch", ours.n, centre)
    if theirs.std is not None and theirs.n >= MIN_SEEDS:
        return _welch_of(ours, theirs)
    error = ours.std / sqrt(ours.n)
    return Difference("welch", ours.n, centre, ours.std, *_student(centre, error, ours.n - 1))


def _welch(a: list[float], b: list[float]) -> Difference:
    if min(len(a), len(b)) < MIN_SEEDS:
        return Difference("welch", min(len(a), len(b)), mean(a) - mean(b))
    return _welch_of(summarise(a), summarise(b))


def _welch_of(a: Summary, b: Summary) -> Difference:
    """Welch's test from means and standard deviations, which both have."""
    assert a.mean is not None and b.mean is not None
    assert a.std is not None and b.std is not None
    parts = [side**2 / n for side, n in ((a.std, a.n), (b.std, b.n))]
    error, centre = sqrt(sum(parts)), a.mean - b.mean
    below = sum(part**2 / (n - 1) for part, n in zip(parts, (a.n, b.n), strict=True))
    freedom = sum(parts) ** 2 / below if below else float(a.n + b.n - 2)
    spread = sqrt((a.std**2 + b.std**2) / 2)
    return Difference("welch", min(a.n, b.n), centre, spread, *_student(centre, error, freedom))


def mean_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % t-interval of the mean of some runs; None below three."""
    n = len(values)
    if n < MIN_SEEDS:
        return None
    low, high, _ = _student(mean(values), stdev(values) / sqrt(n), n - 1)
    return low, high


def _student(centre: float, error: float, freedom: float) -> tuple[float, ...]:
    """Low, high and two-sided p of a mean with a standard error."""
    half = float(special.stdtrit(freedom, (1 + LEVEL) / 2)) * error
    if error == 0:
        return centre, centre, 1.0 if centre == 0 else 0.0
    return centre - half, centre + half, float(2 * special.stdtr(freedom, -abs(centre) / error))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) step-down adjusted p-values, in the order given."""
    order = sorted(range(len(p_values)), key=lambda index: p_values[index])
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted


def hedges_g(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Hedges' g: the difference of means in pooled standard deviations, corrected for small n.

    g = J (mean a - mean b) / s_p with J = Gamma(m / 2) / (sqrt(m / 2) Gamma((m - 1) / 2)) and
    m = n_a + n_b - 2 (Hedges 1981, Eq. 6e). None below three runs per side or without spread.
    """
    if min(len(a), len(b)) < MIN_SEEDS:
        return None
    freedom = len(a) + len(b) - 2
    squares = (len(a) - 1) * stdev(a) ** 2 + (len(b) - 1) * stdev(b) ** 2
    if squares == 0:
        return None
    correction = exp(lgamma(freedom / 2) - lgamma((freedom - 1) / 2)) / sqrt(freedom / 2)
    return correction * (mean(a) - mean(b)) / sqrt(squares / freedom)


def dunnett(arms: Sequence[Sequence[float]], control: Sequence[float]) -> list[float | None]:
    """Dunnett's (1955) two-sided p-values of arms against one control, with one pooled spread.

    Arms with fewer than three runs are left out of the family and have None; so have all of them
    where no arm varies.
    """
    counted = [arm for arm in arms if len(arm) >= MIN_SEEDS]
    spread = pooled_sd([*counted, control])
    if len(control) < MIN_SEEDS or not counted or not spread:
        return [None] * len(arms)
    freedom = len(control) - 1 + sum(len(arm) - 1 for arm in counted)
    sizes = Counter(len(arm) for arm in counted)
    cube = _DunnettGrid(sizes, len(control), freedom)

    def p_value(arm: Sequence[float]) -> float:
        error = spread * sqrt(1 / len(arm) + 1 / len(control))
        return cube.p_value(abs(mean(arm) - mean(control)) / error)

    return [p_value(arm) if len(arm) >= MIN_SEEDS else None for arm in arms]


class _DunnettGrid:
    """The two-sided distribution of the largest of k Student's t with one control and one spread.

    P(all |T_j| < t) is the integral, over the control's normal deviate z and the spread s, of
    prod_j [Phi((t s - l_j z) / m_j) - Phi((-t s - l_j z) / m_j)], with l_j^2 = n_j / (n_j + n_0)
    and m_j^2 = 1 - l_j^2 (Dunnett 1955). Arms of one size have one factor, so that hundreds of
    arms cost no more than two. `sizes` counts the arms of each size.
    """

    def __init__(self, sizes: Mapping[int, int], control: int, freedom: int) -> None:
        nodes, weights = np.polynomial.legendre.leggauss(192)
        half = nodes > 0  # the product is the same at -z
        self.z = 9.0 * nodes[half]
        normal = weights[half] * np.exp(-(self.z**2) / 2)
        nodes, weights = np.polynomial.legendre.leggauss(48)  # enough: s is smooth, z need not be
        low, high = (sqrt(2 * special.gammaincinv(freedom / 2, p) / freedom) for p in _ENDS)
        self.s = low + (high - low) * (nodes + 1) / 2
        log_s = np.log(self.s)
        log_density = freedom * (log_s - self.s**2 / 2) - log_s
        chi = weights * np.exp(log_density - log_density.max())
        self.weights = np.outer(chi / chi.sum(), normal / normal.sum())
        self.arms = [(sqrt(n / (n + control)), count) for n, count in sizes.items()]

    def p_value(self, t: float) -> float:
        """P(some |T_j| >= t)."""
        inside = np.ones_like(self.weights)
        for slope, count in self.arms:
            rest = sqrt(1 - slope**2)
            centre, half = slope * self.z[None, :] / rest, t * self.s[:, None] / rest
            inside *= (special.ndtr(half - centre) - special.ndtr(-half - centre)) ** count
        return float(min(1.0, max(0.0, 1 - (self.weights * inside).sum())))


def mcnemar(only_a: int, only_b: int) -> float:
    """Mid-p of McNemar's test from the counts of images that only one of two networks gets right.

    Two-sided exact binomial p less half the probability of what was observed (Fagerland, Lydersen
    and Laake 2013, BMC Med Res Methodol 13:91). It concerns these two networks, not their methods.
    """
    n, low = only_a + only_b, min(only_a, only_b)
    if n == 0:
        return 1.0
    below = float(special.bdtr(low - 1, n, 0.5)) if low else 0.0
    return min(1.0, below + float(special.bdtr(low, n, 0.5)))


def pooled_sd(groups: Sequence[Sequence[float]]) -> float | None:
    """The root of the mean within-group variance, weighed by degrees of freedom.

    Groups below three values are left out; None if there is no other.
    """
    squares, freedom = spread_parts(groups)
    return sqrt(squares / freedom) if freedom else None


def spread_parts(groups: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The sum of squares within groups and its degrees of freedom, of which `pooled_sd` is made."""
    counted = [group for group in groups if len(group) >= MIN_SEEDS]
    squares = sum((len(group) - 1) * stdev(group) ** 2 for group in counted)
    return squares, sum(len(group) - 1 for group in counted)


def correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Pearson's r; None below three pairs or where one side does not vary."""
    if len(a) < MIN_SEEDS or len(set(a)) == 1 or len(set(b)) == 1:
        return None
    return float(np.corrcoef(a, b)[0, 1])
