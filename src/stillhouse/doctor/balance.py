"""Distillation that drowns the task, does nothing, or holds the student back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from statistics import fmean, median

from stillhouse.doctor.case import Case, Finding

DOMINATES = 10.0
INERT = 0.01
HELD_BACK = 3.0  # points of training accuracy below pure
FELL = 0.9  # a loss that ends above this share of its first value has not fallen


def dominated(case: Case) -> Iterator[Finding]:
    """The weighted distillation gradient is ten times the task's, and the task suffers.

    That is: the two oppose each other or the training cross entropy stays where it was, and the
    student is behind the pure run where there is one.
    """
    ratios, cosines = _ratios(case), case.series("gradients.cosine")
    if not ratios or median(ratios) <= DOMINATES:
        return
    ce = case.series("train.ce")
    flat = bool(ce) and fmean(ce[-2:]) > FELL * ce[0]
    opposed = bool(cosines) and median(cosines) < 0
    deficit = behind(case, "train.accuracy")
    if (flat or opposed) and (deficit is None or deficit > HELD_BACK):
        text = f"gradient of the distillation term {median(ratios):.3g} times the task's"
        more = f"training cross entropy {ce[0]:.3g} -> {ce[-1]:.3g}" if flat else "they oppose"
        yield Finding("kd-dominates", "certain", (case.at(-1, f"{text}; {more}"),))


def inert(case: Case) -> Iterator[Finding]:
    """The weighted distillation gradient is a hundredth of the task's, or there is none."""
    ratios = _ratios(case)
    weights = [record.get("weights", {}) for record in case.records]
    if any(len(terms) > 1 for terms in weights) and not any(_others(terms) for terms in weights):
        yield Finding("kd-inert", "certain", (case.at(-1, "its terms have the coefficient 0"),))
    elif ratios and median(ratios) < INERT:
        text = f"gradient of the distillation term {median(ratios):.2g} times the task's"
        yield Finding("kd-inert", "certain", (case.at(-1, text),))


def over_regularised(case: Case) -> Iterator[Finding]:
    """Three points behind pure on training images, and behind it on test images too."""
    if not case.done or case.unsound or case.config.method == "pure":
        return
    train, test = behind(case, "train.accuracy"), behind(case, "test.accuracy")
    if train is None or test is None or any(dominated(case)):
        return
    if train > HELD_BACK and test > margin(case):
        text = f"training accuracy {train:.1f} and test accuracy {test:.1f} points below pure"
        yield Finding("over-regularised", "likely", (case.at(-1, text),))


def behind(case: Case, field: str) -> float | None:
    """How many points a run is below the pure runs of its network at the end; None if unknown."""
    own = case.final(field)
    pure = [value for peer in case.pure() if (value := peer.final(field)) is not None]
    return None if own is None or not pure else fmean(pure) - own


def margin(case: Case) -> float:
    """A difference in points that two measurements of equal networks rarely show.

    One point, or twice the standard error of the difference of two independent accuracies.
    """
    share = min(max((case.final("test.accuracy") or 0.0) / 100, 0.01), 0.99)
    return max(1.0, 200 * sqrt(2 * share * (1 - share) / case.spec.test_images))


def _others(terms: Mapping[str, float]) -> bool:
    return any(weight for name, weight in terms.items() if name != "ce")


def _ratios(case: Case) -> list[float]:
    """The distillation gradient over the task's, an epoch each; empty where one has none."""
    task, taught = case.series("gradients.ce"), case.series("gradients.kd")
    pairs = list(zip(task, taught, strict=False))
    return [kd / ce for ce, kd in pairs if ce] if len(pairs) == len(case.records) else []
