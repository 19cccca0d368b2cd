"""Power against statsmodels and simulation; the reference's golden numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.power import TTestIndPower, TTestPower

from stillhouse.stats.inference import Test
from stillhouse.stats.power import (
    power,
    sampling_error,
    seeds_needed,
    smallest_detectable,
    spread_bounds,
)


@pytest.mark.parametrize("n", [3, 5, 10])
@pytest.mark.parametrize("effect", [0.3, 1.0, 2.5])
def test_power_is_statsmodels(n: int, effect: float) -> None:
    assert power(effect, 1.0, n, "welch") == pytest.approx(
        TTestIndPower().power(effect, n, 0.05), rel=1e-6
    )
    assert power(-effect, 1.0, n, "paired") == pytest.approx(
        TTestPower().power(effect, n, 0.05), rel=1e-6
    )


def test_power_far_out_is_one() -> None:
    assert power(20, 1.0, 3) == pytest.approx(1) and power(38, 1.0, 1001) == pytest.approx(1)


def test_power_is_how_often_the_test_finds_it() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(0.5, 0.3, (4000, 5)), rng.normal(0, 0.3, (4000, 5))
    found = np.mean(stats.ttest_ind(a, b, axis=1).pvalue < 0.05)
    assert power(0.5, 0.3, 5) == pytest.approx(found, abs=0.025)


@pytest.mark.parametrize(
    ("sd", "test", "alpha", "seeds"),
    [
        (0.3, "welch", 0.05, 7),
        (0.3, "welch", 0.05 / 6, 11),
        (0.6, "welch", 0.05, 24),
        (0.3 * 2**0.5, "paired", 0.05, 8),
        (0.3, "paired", 0.05, 6),  # the fewest with 80 %: five have 79.3 %
    ],
)
def test_seeds_for_half_a_point(sd: float, test: Test, alpha: float, seeds: int) -> None:
    assert seeds_needed(0.5, sd, test, alpha) == seeds
    assert power(0.5, sd, seeds, test, alpha) >= 0.8 > power(0.5, sd, seeds - 1, test, alpha)


def test_seeds_that_no_round_has() -> None:
    assert seeds_needed(0.001, 1.0) is None and seeds_needed(0.0, 1.0) is None
    assert seeds_needed(100.0, 1.0) == 3


@pytest.mark.parametrize(
    ("n", "comparisons", "gap"), [(3, 1, 0.92), (3, 6, 1.51), (5, 1, 0.61), (5, 6, 0.85)]
)
def test_the_smallest_difference_that_few_seeds_show(n: int, comparisons: int, gap: float) -> None:
    found = smallest_detectable(0.3, n, alpha=0.05 / comparisons)
    assert found == pytest.approx(gap, abs=0.006)
    assert power(found, 0.3, n, alpha=0.05 / comparisons) == pytest.approx(0.8, abs=1e-6)


def test_three_seeds_find_half_a_point_one_time_in_three() -> None:
    assert power(0.5, 0.3, 3) == pytest.approx(0.35, abs=0.005)
    assert smallest_detectable(0.0, 3) == 0


def test_what_three_seeds_know_of_their_spread() -> None:
    assert spread_bounds(3) == pytest.approx((0.52, 6.28), abs=0.006)


@pytest.mark.parametrize(
    ("accuracy", "images", "error"),
    [(94, 10_000, 0.24), (72, 10_000, 0.45), (55, 10_000, 0.50), (97, 26_032, 0.11)],
)
def test_sampling_error_of_the_test_images(accuracy: float, images: int, error: float) -> None:
    assert sampling_error(accuracy, images) == pytest.approx(error, abs=0.006)
