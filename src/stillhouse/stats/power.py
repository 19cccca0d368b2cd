"""How many seeds a difference needs, and what a number of seeds can show. Pure functions."""

from __future__ import annotations

from functools import cache
from math import isfinite, sqrt

from scipy import special

from stillhouse.stats.inference import LEVEL, Test
from stillhouse.stats.summary import MIN_SEEDS

POWER = 0.8
ALPHA = 0.05
MAX_SEEDS = 1000


def power(
    difference: float, sd: float, n: int, test: Test = "welch", alpha: float = ALPHA
) -> float:
    """The chance that a two-sided t-test with `n` seeds per arm finds a true difference.

    `sd` is of one arm for `welch` (both arms alike, 2n - 2 degrees of freedom), of the
    differences for `paired` (n - 1). From the noncentral t distribution.
    """
    freedom, noncentrality = _design(difference, sd, n, test)
    critical = float(special.stdtrit(freedom, 1 - alpha / 2))
    above = 1 - float(special.nctdtr(freedom, noncentrality, critical))
    below = float(special.nctdtr(freedom, noncentrality, -critical))
    # Far out in the other tail SciPy's answer is not a number: there is nothing there.
    return above + (below if isfinite(below) else 0.0)


def seeds_needed(
    difference: float, sd: float, test: Test = "welch", alpha: float = ALPHA
) -> int | None:
    """The fewest seeds per arm (at least three) with 80 % power; None above a thousand."""
    if difference == 0:
        return None
    low, high = MIN_SEEDS, MIN_SEEDS
    while power(difference, sd, high, test, alpha) < POWER:
        if high >= MAX_SEEDS:
            return None
        low, high = high + 1, min(2 * high, MAX_SEEDS)
    while low < high:
        middle = (low + high) // 2
        if power(difference, sd, middle, test, alpha) < POWER:
            low = middle + 1
        else:
            high = middle
    return high


def smallest_detectable(sd: float, n: int, test: Test = "welch", alpha: float = ALPHA) -> float:
    """The true difference that `n` seeds per arm (at least two) find with 80 % power."""
    if sd == 0:
        return 0.0
    return sd * _gap(n, test, alpha)


@cache
def _gap(n: int, test: Test, alpha: float) -> float:
    """The difference in standard deviations that has 80 % power, by bisection."""
    low, high = 1e-6, 1e3
    while high - low > 1e-12 * high:
        middle = (low + high) / 2
        if power(middle, 1.0, n, test, alpha) < POWER:
            low = middle
        else:
            high = middle
    return high


def spread_bounds(n: int) -> tuple[float, float]:
    """The factors between which the true sd lies (95 %), relative to the sample sd of `n` runs."""
    freedom = n - 1
    tail = (1 - LEVEL) / 2
    upper, lower = (float(special.chdtri(freedom, 1 - q)) for q in (1 - tail, tail))
    return sqrt(freedom / upper), sqrt(freedom / lower)


def sampling_error(accuracy: float, images: int) -> float:
    """The standard error in points of an accuracy (in percent) over a test set of `images`."""
    share = accuracy / 100
    return 100 * sqrt(share * (1 - share) / images)


def _design(difference: float, sd: float, n: int, test: Test) -> tuple[int, float]:
    if sd == 0:
        raise ValueError("power needs a spread above zero")
    arms = 1 if test == "paired" else 2
    return arms * (n - 1), abs(difference) / (sd * sqrt(arms / n))
