"""Distillation that drowns the task, does nothing, or holds the student back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import sqrt
from statistics import fmean, median, stdev

from stillhouse.config.identity import as_written
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.comparisons import unequal_recipe
from stillhouse.diagnosis.finding import Finding, Line

DOMINATES = 10.0
AGREES = 0.25  # of a step along a distant term's gradient, the share that serves the task
INERT = 0.01
HELD_BACK = 3.0  # points of training accuracy below pure
REGULARISERS = ("weight_decay", "label_smoothing")
FELL = 0.9  # a loss that ends above this share of its first value has not fallen


def dominated(case: Case) -> Iterator[Finding]:
    """The weighted distillation gradient is ten times the task's, and the task suffers.

    That is: the two oppose each other, or have little in common and the training cross entropy
    stays where it was; and the student is behind the pure run, where there is one, on training and
    test images. A term that points where the task does serves it, however large.
    """
    ratios, cosines = _ratios(case), case.series("gradients.cosine")
    if not case.settled or not ratios or median(ratios) <= DOMINATES:
        return
    ce = case.series("train.ce")
    cosine = median(cosines) if cosines else 0.0
    flat = bool(ce) and fmean(ce[-2:]) > FELL * ce[0] and cosine < AGREES
    if (flat or cosine < 0) and _behind(case) is not False:
        text = f"gradient of the distillation term {median(ratios):.3g} times the task's"
        more = f"training cross entropy {ce[0]:.3g} -> {ce[-1]:.3g}" if flat else "they oppose"
        yield Finding("kd-dominates", "certain", (case.at(-1, f"{text}; {more}"),))


def _behind(case: Case) -> bool | None:
    """Whether it is behind pure on training and test images, beyond noise; None if unknown."""
    train, test = behind(case, "train.accuracy"), behind(case, "test.accuracy")
    return None if train is None or test is None else train > HELD_BACK and test > _noise(case)


def inert(case: Case) -> Iterator[Finding]:
    """The weighted distillation gradient is a hundredth of the task's, or there is none."""
    ratios = _ratios(case)
    weights = [record.get("weights", {}) for record in case.records]
    if any(len(terms) > 1 for terms in weights) and not any(_others(terms) for terms in weights):
        yield Finding("kd-inert", "certain", (case.at(-1, "its terms have the coefficient 0"),))
    elif ratios and median(ratios) < INERT:
        text = f"gradient of the distillation term {median(ratios):.2g} times the task's"
        yield Finding("kd-inert", "certain", (case.at(-1, text),))


def own_loss_not_lower(case: Case) -> Iterator[Finding]:
    """By what `terms` measured, a pure student is as near to the method's aim, or nearer."""
    if case.own_loss is None or case.own_loss.verdict == "lower":
        return
    own, pure = (_range(values) for values in (case.own_loss.own, case.own_loss.pure))
    line = Line(case.folder / "own_loss.json", 1, f"own loss {own}, of the pure student {pure}")
    sure = case.own_loss.verdict == "higher"
    yield Finding("own-loss-not-lower", "certain" if sure else "possible", (line,))


def _range(values: tuple[float, ...]) -> str:
    low, high = f"{min(values):.4g}", f"{max(values):.4g}"
    return low if len(values) == 1 else f"{low} to {high} in {len(values)} fits"


def over_regularised(case: Case) -> Iterator[Finding]:
    """Behind pure on training and test images, for a known reason.

    Its recipe has more weight decay or label smoothing than pure's, or in a sweep every larger
    value fits the training images worse. Behind pure without either is no fault of a run: the
    observation `underfits` names it.
    """
    if not case.done or case.learned_nothing or case.config.method == "pure":
        return
    train, test = behind(case, "train.accuracy"), behind(case, "test.accuracy")
    if train is None or test is None or train <= HELD_BACK or test <= margin(case) / 2:
        return  # by half the margin, a standard error: the training images show it, too
    if any(dominated(case)):
        return
    text = f"training accuracy {train:.1f} and test accuracy {test:.1f} points below pure"
    if stronger := _stronger(case):
        yield Finding("over-regularised", "certain", (case.at(-1, text), stronger))
    elif falls := _falls(case):
        yield Finding("over-regularised", "likely", (case.at(-1, f"{text}; {falls}"),))


def _noise(case: Case) -> float:
    """A difference of test accuracies in points that images and seeds seldom make."""
    pure = [peer.final("test.accuracy") for peer in case.pure_of_all_seeds()]
    values = [value for value in pure if value is not None]
    spread = stdev(values) if len(values) >= 3 else 0.0
    return max(margin(case), 2 * sqrt(2) * spread)


def _stronger(case: Case) -> Line | None:
    """Where its recipe regularises more than that of the pure runs."""
    for name, was, now in unequal_recipe(case):
        if name in REGULARISERS and now > was:
            return case.fact(name, f"{name} {as_written(was)} in pure, {as_written(now)} here")
    return None


def _falls(case: Case) -> str:
    """The training accuracies of a sweep if each is below that of the next smaller value."""
    if len(case.config.axes) != 1:
        return ""
    ((axis, own),) = case.config.axes.items()
    run = case.config
    fits = case.peers.swept.get((run.method, run.model, str(run.teacher_path), run.seed, axis), {})
    values = sorted(fits)
    if len(values) < 3 or own == values[0]:
        return ""
    if any(fits[small] <= fits[large] for small, large in pairwise(values)):
        return ""
    return ", ".join(f"{fits[value]:.1f} % with {axis} {value:g}" for value in values)


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
