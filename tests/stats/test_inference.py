"""Every statistic against SciPy, statsmodels or a closed form; intervals by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_reference
from statsmodels.stats.multitest import multipletests

from stillhouse.stats.inference import (
    Test,
    correlation,
    difference,
    dunnett,
    hedges_g,
    holm,
    mcnemar,
    pooled_sd,
    published_difference,
)
from stillhouse.stats.summary import Summary, summarise

# CIFAR-10 and CIFAR-100 of round alpha, best epochs, seeds 0 to 2.
PURE10, FT10, LOGIT10 = [93.11, 93.29, 93.19], [93.74, 93.57, 93.89], [92.35, 93.97, 93.80]
PURE100, LOGIT100 = [70.43, 71.54, 71.54], [69.39, 72.96, 73.16]


def by_seed(values: list[float]) -> dict[int, float]:
    return dict(enumerate(values))


def draw(rng: np.random.Generator, n: int, sd: float = 1.0) -> list[float]:
    return [float(value) for value in rng.normal(90, sd, n)]


@pytest.mark.parametrize("n", [3, 5, 12])
def test_the_paired_difference_is_scipys(n: int) -> None:
    rng = np.random.default_rng(n)
    a, b = draw(rng, n), draw(rng, n)
    ours, theirs = difference(by_seed(a), by_seed(b), "paired"), stats.ttest_rel(a, b)
    assert ours is not None
    low, high = theirs.confidence_interval(0.95)
    assert (ours.p, ours.low, ours.high) == pytest.approx((theirs.pvalue, low, high), rel=1e-10)
    assert ours.value == pytest.approx(np.mean(a) - np.mean(b))
    assert ours.sd == pytest.approx(np.std(np.subtract(a, b), ddof=1))


@pytest.mark.parametrize(("n", "m"), [(3, 3), (3, 7), (10, 4)])
def test_welchs_difference_is_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    a, b = draw(rng, n), draw(rng, m, sd=3)
    ours = difference(by_seed(a), by_seed(b), "welch")
    theirs = stats.ttest_ind(a, b, equal_var=False)
    assert ours is not None
    low, high = theirs.confidence_interval(0.95)
    assert (ours.p, ours.low, ours.high) == pytest.approx((theirs.pvalue, low, high), rel=1e-10)


def test_only_common_seeds_are_paired() -> None:
    a, b = {0: 1.0, 1: 2.0, 2: 4.0, 9: 50.0}, {0: 0.5, 1: 1.0, 2: 2.0, 7: 90.0}
    found = difference(a, b, "paired")
    assert found is not None and found.n == 3 and found.value == pytest.approx(3.5 / 3)
    assert difference({0: 1.0}, {1: 2.0}, "paired") is None
    assert difference({}, b, "welch") is None


@pytest.mark.parametrize("test", ["paired", "welch"])
@pytest.mark.parametrize("n", [1, 2])
def test_fewer_than_three_seeds_have_no_interval(n: int, test: Test) -> None:
    found = difference(by_seed([90.0, 91.0][:n]), by_seed([89.0, 92.0, 91.0][:n]), test)
    assert found is not None and found.n == n
    assert found.low is found.high is found.p is found.sd is None


@pytest.mark.parametrize("test", ["paired", "welch"])
@pytest.mark.parametrize("spread", [0.0, 0.01])
def test_no_interval_is_narrower_than_one_test_image(spread: float, test: Test) -> None:
    image = 100 / 355
    a, b = by_seed([80.0, 80.0 + spread, 80.0]), by_seed([80.0 + 2 * image] * 3)
    found = difference(a, b, test, image)
    assert found is not None and found.value == pytest.approx(spread / 3 - 2 * image)
    assert found.low is found.high is found.p is found.sd is None
    assert found.why == "the interval would be narrower than one test image"


@pytest.mark.parametrize("test", ["paired", "welch"])
def test_an_interval_of_one_test_image_or_more_is_shown_as_it_is(test: Test) -> None:
    a, b = by_seed(FT10), by_seed(PURE10)
    assert difference(a, b, test, 0.01) == difference(a, b, test)
    assert difference(a, b, test).why == ""  # type: ignore[union-attr]


def test_arms_without_any_spread_are_equal_or_not() -> None:
    same = difference(by_seed([5.0] * 3), by_seed([5.0] * 3), "welch")
    other = difference(by_seed([6.0] * 3), by_seed([5.0] * 3), "paired")
    assert same is not None and (same.low, same.high, same.p) == (0, 0, 1)
    assert other is not None and (other.low, other.high, other.p) == (1, 1, 0)


@pytest.mark.parametrize("test", ["paired", "welch"])
@pytest.mark.parametrize("n", [3, 5])
def test_intervals_hold_the_truth_nineteen_times_in_twenty(n: int, test: Test) -> None:
    rng, rounds, held = np.random.default_rng(7 * n), 2000, 0
    for _ in range(rounds):
        shared = rng.normal(0, 0.5, n)
        a = by_seed(list(1.0 + shared + rng.normal(0, 0.3, n)))
        b = by_seed(list((shared if test == "paired" else 0) + rng.normal(0, 0.3, n)))
        found = difference(a, b, test)
        assert found is not None and found.low is not None and found.high is not None
        held += found.low <= 1.0 <= found.high
    # Welch's interval is a little conservative for few seeds; three standard errors are 0.015.
    assert 0.935 <= held / rounds <= (0.965 if test == "paired" else 0.985)


@pytest.mark.parametrize("seed", range(8))
def test_holm_is_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    p_values = [float(p) for p in np.round(rng.random(seed + 1) ** 3, 2)]  # ties and zeros too
    reference = multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(list(reference), abs=1e-12)


def test_holm_of_nothing() -> None:
    assert holm([]) == []


def test_hedges_g_is_the_corrected_standardised_difference() -> None:
    a, b = [1.0, 2.0, 3.0], [3.0, 5.0, 7.0, 9.0]
    freedom = 5
    pooled = math.sqrt((2 * 1.0 + 3 * np.var(b, ddof=1)) / freedom)
    exact = math.gamma(freedom / 2) / (math.sqrt(freedom / 2) * math.gamma((freedom - 1) / 2))
    assert hedges_g(a, b) == pytest.approx(exact * (2 - 6) / pooled, rel=1e-12)
    assert exact == pytest.approx(1 - 3 / (4 * freedom - 1), rel=0.01)
    assert hedges_g(a, b[:2]) is None and hedges_g([1.0] * 3, [1.0] * 3) is None


def test_hedges_g_is_unbiased() -> None:
    rng = np.random.default_rng(0)
    found = [hedges_g(list(rng.normal(1, 1, 4)), list(rng.normal(0, 1, 4))) for _ in range(4000)]
    assert np.mean(found) == pytest.approx(1, abs=0.06)


def test_dunnett_leaves_small_arms_out() -> None:
    found = dunnett([LOGIT10, [94.12], FT10], PURE10)
    both = dunnett([LOGIT10, FT10], PURE10)
    assert found == [both[0], None, both[1]]
    assert dunnett([FT10], PURE10[:2]) == [None] and dunnett([], PURE10) == []
    assert dunnett([[81.0] * 3, FT10], PURE10)[0] is not None
    assert dunnett([[81.0] * 3, [82.0] * 4], [80.0] * 3) == [None, None]


@pytest.mark.parametrize("sizes", [(3, 3), (10, 10, 7), (3, 4, 5, 6, 3, 3)])
def test_dunnett_is_that_of_scipy(sizes: tuple[int, ...]) -> None:
    """SciPy integrates by random points, to about 1e-4: the mean of a few draws is nearer."""
    rng = np.random.default_rng(1)
    arms = [list(rng.normal(0.6 * place, 1, size)) for place, size in enumerate(sizes)]
    control = list(rng.normal(0, 1, 5))
    draws = [stats.dunnett(*arms, control=control, random_state=seed).pvalue for seed in range(8)]
    assert dunnett(arms, control) == pytest.approx(np.mean(draws, axis=0), abs=1e-4)


def test_dunnett_of_one_arm_is_students_t() -> None:
    expected = stats.ttest_ind(FT10, PURE10).pvalue
    assert dunnett([FT10], PURE10)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("b", "c"), [(3, 9), (10, 10), (0, 4), (25, 60)])
def test_mcnemars_mid_p_is_the_exact_p_less_half_of_what_was_seen(b: int, c: int) -> None:
    exact = mcnemar_reference([[50, b], [c, 50]], exact=True).pvalue
    seen = stats.binom.pmf(min(b, c), b + c, 0.5)
    whole = 2 * stats.binom.cdf(min(b, c), b + c, 0.5)
    assert min(1.0, whole) == pytest.approx(exact)
    assert mcnemar(b, c) == mcnemar(c, b) == pytest.approx(min(1.0, whole - seen))


def test_mcnemar_of_networks_that_never_differ() -> None:
    assert mcnemar(0, 0) == 1


def test_mid_p_rejects_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    rejected = [mcnemar(only, 200 - only) < 0.05 for only in map(int, rng.binomial(200, 0.5, 4000))]
    assert 0.035 <= np.mean(rejected) <= 0.06


def test_the_pooled_spread_is_the_residual_of_the_groups() -> None:
    groups = [PURE10, FT10, LOGIT10, [94.12]]
    residuals = [value - np.mean(group) for group in groups for value in group]
    assert pooled_sd(groups) == pytest.approx(math.sqrt(np.sum(np.square(residuals)) / 6))
    assert pooled_sd([[1.0], [1.0, 2.0]]) is None


def test_correlation() -> None:
    a, b = [1.0, 2.0, 4.0], [2.0, 1.0, 5.0]
    assert correlation(a, b) == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert correlation(a[:2], b[:2]) is None and correlation(a, [1.0] * 3) is None


def test_round_alphas_only_candidate_depends_on_the_test() -> None:
    welch = difference(by_seed(FT10), by_seed(PURE10), "welch")
    paired = difference(by_seed(FT10), by_seed(PURE10), "paired")
    other = difference(by_seed(LOGIT10), by_seed(PURE10), "welch")
    assert welch is not None and paired is not None and other is not None
    assert welch.p is not None and other.p is not None
    assert welch.value == pytest.approx(0.54, abs=0.005)
    assert welch.p == pytest.approx(0.013, abs=0.0005)
    assert holm([welch.p, other.p])[0] == pytest.approx(0.026, abs=0.0005)
    assert paired.p == pytest.approx(0.054, abs=0.0005)
    assert dunnett([LOGIT10, FT10], PURE10)[1] == pytest.approx(0.4044, abs=0.0005)
    assert pooled_sd([PURE10, FT10, LOGIT10]) == pytest.approx(0.53, abs=0.006)


def test_round_alphas_logit_gap_on_cifar_100_shows_nothing() -> None:
    found = difference(by_seed(LOGIT100), by_seed(PURE100), "welch")
    assert found is not None
    assert found.value == pytest.approx(0.67, abs=0.005)
    assert found.p == pytest.approx(0.65, abs=0.006)


def test_a_published_mean_with_its_deviation_is_compared_by_welch() -> None:
    ours, theirs = [81.0, 81.5, 82.5], [80.0, 80.5, 81.5, 79.0]
    found = published_difference(summarise(ours), summarise(theirs))
    whole = difference(by_seed(ours), by_seed(theirs), "welch")
    assert found is not None and whole is not None
    assert found == whole
    scipys = stats.ttest_ind(ours, theirs, equal_var=False)
    assert found.p == pytest.approx(scipys.pvalue)
    interval = scipys.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_a_published_mean_without_a_deviation_is_taken_as_exact() -> None:
    ours = [81.0, 81.5, 82.5]
    found = published_difference(summarise(ours), Summary(5, 80.0, None))
    scipys = stats.ttest_1samp(ours, 80.0)
    assert found is not None
    assert found.p == pytest.approx(scipys.pvalue)
    assert found.low == pytest.approx(scipys.confidence_interval(0.95).low - 80.0)
    assert published_difference(summarise(ours[:2]), Summary(5, 80.0, 0.1)).low is None  # type: ignore[union-attr]
    assert published_difference(summarise(ours), Summary(0, None, None)) is None
