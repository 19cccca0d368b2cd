"""Runs that began late, ended early, or went on for too long."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean

from stillhouse.diagnosis.balance import margin
from stillhouse.diagnosis.case import FEW_EPOCHS, Case
from stillhouse.diagnosis.finding import Finding

FLOOR = 0.1  # share of the highest learning rate below which a schedule has come to rest
GAIN = 1.5  # points a tenth of the training still gained: 0.1 an epoch in 150 epochs
ROSE = 1.1
GAP = 5.0


def under_trained(case: Case) -> Iterator[Finding]:
    """It completed with a high learning rate while loss and accuracy still moved."""
    rates = case.series("lr")
    if not (case.done and rates) or case.learned_nothing or rates[-1] <= FLOOR * max(rates):
        return
    if gain := rising(case):
        text = f"still gained {gain:.1f} points at its end, learning rate {rates[-1]:.3g}"
        yield Finding("under-trained", "likely", (case.at(-1, text),))


def rising(case: Case) -> float:
    """The points of accuracy gained in the last tenth of the epochs; 0 if it had settled.

    Two epochs at least are compared with as many before; the gain must exceed what two
    measurements of equal networks show, and the training loss must fall too. At a high learning
    rate the test accuracy jumps: the training accuracy counts too, unless it runs ahead.
    """
    test, train = case.series("test.accuracy"), case.series("train.accuracy")
    if len(test) < 2 or _gained(case.series("train.total")) >= 0:
        return 0.0
    gains = [_gained(test)]
    if train and fmean(train[-2:]) < max(test) + GAP:
        gains.append(_gained(train))
    return max(gains) if max(gains) > max(GAIN, margin(case)) else 0.0


def _gained(values: list[float]) -> float:
    """The mean of the last tenth, two at least, above that of as many before."""
    if len(values) < 2:
        return 0.0
    span = max(1, min(len(values) // 2, max(2, len(values) // 10)))
    return fmean(values[-span:]) - fmean(values[-2 * span : -span])


def overfitted(case: Case) -> Iterator[Finding]:
    """The test loss stays a tenth above its minimum while training accuracy runs away.

    It stays there if it does in all of the last three epochs: one bad epoch is none.
    """
    ce, test = case.series("test.ce"), case.series("test.accuracy")
    train, loss = case.series("train.accuracy"), case.series("train.total")
    if len(ce) < 5 or not train or case.learned_nothing:
        return
    low = ce.index(min(ce))
    late, gap = min(ce[-3:]), [a - b for a, b in zip(train, test, strict=True)]
    if late > ROSE * ce[low] and fmean(gap[-2:]) > gap[low] + GAP and loss[-1] < loss[low]:
        lines = (
            case.at(low, f"test loss {ce[low]:.3g}"),
            case.at(-1, f"test loss {late:.3g}, training accuracy {train[-1]:.1f} %"),
        )
        yield Finding("overfit", "likely", lines)


def slow_start(case: Case) -> Iterator[Finding]:
    """At most twice chance in two epochs, and twice as long as others to half its level.

    Warm-up epochs are expected to be slow and are not counted.
    """
    accuracy = case.series("test.accuracy")
    if case.learned_nothing or len(accuracy) < FEW_EPOCHS or max(accuracy[:2]) > 2 * case.chance:
        return
    took = case.half_way - case.config.training.warmup_epochs
    usual = case.peers.usual_half_way(case.half_way) or len(accuracy) / 10
    if took >= max(2 * usual, 3):
        lines = (
            case.at(0, f"test accuracy {accuracy[0]:.1f} %"),
            case.at(case.half_way - 1, f"epoch {case.half_way}: half its level; others: {usual:g}"),
        )
        yield Finding("slow-start", "likely", lines)
