"""From an interval and its p-value to a word."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from stillhouse.stats.inference import difference, holm
from stillhouse.stats.verdict import judge


def gap(values: list[float], against: list[float]) -> Any:
    found = difference(dict(enumerate(values)), dict(enumerate(against)), "welch")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("values", "against", "adjusted", "checks", "text"),
    [
        ([82.0, 82.1, 82.2], [80.0, 80.1, 80.2], 0.01, (), "helps"),
        ([82.0, 82.1, 82.2], [80.0, 80.1, 80.2], 0.01, (0.2, None), "helps (tests disagree)"),
        ([80.0, 80.1, 80.2], [82.0, 82.1, 82.2], 0.01, (), "hurts"),
        ([80.0, 80.01, 80.02], [80.0, 80.01, 80.02], 1.0, (), "equivalent (±0.2)"),
        ([80.9, 81.9, 82.9], [80.0, 81.0, 82.0], 0.5, (), "inconclusive: needs about 21 seeds"),
        ([82.0], [80.0, 80.1, 80.2], None, (), "inconclusive (n = 1): needs about 6 seeds"),
    ],
)
def test_verdicts(
    values: list[float], against: list[float], adjusted: float, checks: Any, text: str
) -> None:
    found = judge(gap(values, against), adjusted, 0.2, 1.0, 1, checks)
    assert found.text() == text


@pytest.mark.parametrize("sign", [1, -1])
def test_an_interval_with_one_end_beyond_the_margin_is_not_equivalent(sign: int) -> None:
    values, against = [80.08, 80.2, 80.32], [80.0, 80.0, 80.0]
    found = gap(*(values, against)[::sign])
    assert found.low is not None and found.high is not None
    assert min(abs(found.low), abs(found.high)) < 0.2 < max(abs(found.low), abs(found.high))
    assert judge(found, 0.1, 0.2, 1.0, 6).word == "inconclusive"


@pytest.mark.parametrize("sign", [1, -1])
def test_an_unadjusted_interval_alone_decides_nothing(sign: int) -> None:
    low, high = [80.0, 80.1, 80.2], [82.0, 82.1, 82.2]
    found = judge(gap(*(low, high)[::sign]), 0.06, 0.2, 1.0, 6)
    assert found.word == "inconclusive"


def test_methods_without_effect_seldom_get_a_verdict() -> None:
    """Six methods beside one pure student, 150 rounds: the family's error stays below 5 %."""
    rng, wrong = np.random.default_rng(5), 0
    for _ in range(150):
        shared = rng.normal(0, 0.3, 3)
        pure = dict(enumerate(shared + rng.normal(0, 0.3, 3)))
        arms_ = [dict(enumerate(shared + rng.normal(0, 0.3, 3))) for _ in range(6)]
        gaps = [difference(arm, pure, "paired") for arm in arms_]
        known = [found for found in gaps if found is not None and found.p is not None]
        adjusted = holm([found.p for found in known if found.p is not None])
        words = {judge(g, p, 0.2, None, 6).word for g, p in zip(known, adjusted, strict=True)}
        wrong += bool(words & {"helps", "hurts"})
    assert wrong / 150 < 0.1
