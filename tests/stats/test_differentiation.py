"""The spread between arms against the spread between seeds."""

from __future__ import annotations

import numpy as np
import pytest

from stillhouse.stats.differentiation import differentiation


def test_the_spreads_are_those_of_a_closed_form() -> None:
    found = differentiation([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    assert found is not None
    assert (found.arms, found.runs) == (3, 9)
    assert found.between == pytest.approx(3)  # of the means 2, 5, 8
    assert found.within == pytest.approx(1)
    # F(2, 6) = 27: the tail of an F distribution with two numerator degrees is (1 + 2F/m)^(-m/2)
    assert found.p == pytest.approx((1 + 2 * 27 / 6) ** -3)


def test_arms_that_differ_by_their_seeds_alone_are_rarely_called_different() -> None:
    draws = np.random.default_rng(0).normal(70, 0.5, size=(400, 6, 3))
    found = [differentiation(draw.tolist()) for draw in draws]
    wrong = sum(one is not None and one.p < 0.05 for one in found)
    assert wrong / len(draws) == pytest.approx(0.05, abs=0.03)


def test_more_differentiated_needs_a_difference_beyond_the_seeds() -> None:
    close = differentiation([[1, 2, 3], [1.5, 2.5, 3.5], [1.2, 2.2, 3.2]])
    closer = differentiation([[1, 2, 3], [1.1, 2.1, 3.1], [1.2, 2.2, 3.2]])
    far = differentiation([[1, 2, 3], [11, 12, 13], [21, 22, 23]])
    assert close and closer and far
    assert close.ratio > closer.ratio
    assert not close.more_than(closer)
    assert far.more_than(close)
    assert not close.more_than(far)
    farther = differentiation([[1, 2, 3], [21, 22, 23], [41, 42, 43]])
    assert farther and farther.more_than(far) and not far.more_than(farther)


@pytest.mark.parametrize(
    "groups", [[], [[1, 2, 3]], [[1, 2, 3], []], [[1], [2]], [[1, 1, 1], [2, 2, 2]]]
)
def test_what_shows_no_spread_has_none(groups: list[list[float]]) -> None:
    assert differentiation(groups) is None
