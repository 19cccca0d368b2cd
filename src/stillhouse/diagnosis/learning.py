"""Runs that learned nothing, or lost what they had learned. Rules over the curves."""

from __future__ import annotations

from collections.abc import Iterator
from math import log
from statistics import fmean, stdev

from stillhouse.diagnosis.balance import dominated
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.ends import WARNED
from stillhouse.diagnosis.finding import Confidence, Finding, Line
from stillhouse.rounds.survey import steps_per_epoch
from stillhouse.runs.chance import chance_bound

FLAT = 0.01  # relative standard deviation of a training loss that does not move; healthy: 0.28
STILL = 1e-9  # of the weights' norm: as good as not moved
UNIFORM = 0.01  # nats between a test loss and that of the uniform answer, ln C
LOST = 20.0  # points of accuracy that a healthy run does not lose for good
EXPLODED = 3.0


def never_stepped(case: Case) -> Iterator[Finding]:
    """The weights stood still in most epochs; where that is not recorded, the loss did."""
    moved = case.series("update_ratio")
    still = [epoch for epoch, ratio in enumerate(moved) if ratio < STILL]
    skipped = case.series("scaler.skipped")
    steps = steps_per_epoch(case.config)
    idle = [epoch for epoch, count in enumerate(skipped) if count > steps / 2]
    if still and len(still) >= len(moved) / 2:
        line = case.at(still[-1], f"update_ratio 0 in {len(still)} of {len(moved)} epochs")
        yield Finding("optimizer-never-stepped", "certain", (line, *_warned(case)))
    elif idle and len(idle) >= len(skipped) / 2:
        text = f"{skipped[idle[-1]]:.0f} of {steps} steps skipped, in {len(idle)} epochs"
        yield Finding(
            "optimizer-never-stepped", "certain", (case.at(idle[-1], text), *_warned(case))
        )
    elif not moved and _frozen(case):
        total = case.series("train.total")
        text = f"training loss {total[-1]:.4g} varies by {stdev(total) / fmean(total):.2%}"
        warnings = _warned(case)
        confidence: Confidence = "certain" if warnings else "likely"
        yield Finding("optimizer-never-stepped", confidence, (case.at(-1, text), *warnings))


def _warned(case: Case) -> tuple[Line, ...]:
    """The line in which PyTorch warns of a step that came before the optimizer's."""
    return tuple(line for line in case.lines if WARNED.search(line.text))[:1]


def _frozen(case: Case) -> bool:
    """Chance level, a training loss that never moves, and a test loss that is not uniform."""
    total, ce = case.series("train.total"), case.final("test.ce")
    if len(total) < 5 or not case.learned_nothing or ce is None:
        return False
    return stdev(total) < FLAT * fmean(total) and ce > log(case.spec.classes) + UNIFORM


def collapsed(case: Case) -> Iterator[Finding]:
    """A constant answer: one or two classes predicted, or a test loss of ln C, at chance."""
    if not (case.records and case.learned_nothing and case.settled):
        return
    if any(found for rule in (never_stepped, unrelated, dominated) for found in rule(case)):
        return
    last = case.records[-1]["test"]
    uniform, ce = log(case.spec.classes), last.get("ce")
    few = last.get("classes_predicted", case.spec.classes) <= 2
    if few or (ce is not None and abs(ce - uniform) < UNIFORM):
        loss = "" if ce is None else f"test loss {ce:.4f} (ln C = {uniform:.4f}), "
        yield Finding(
            "collapse", "certain", (case.at(-1, loss + case.learned_nothing + _lost(case)),)
        )


def _lost(case: Case) -> str:
    """That the best epoch of a run that ended at chance is no result; empty if it never rose."""
    accuracy = case.series("test.accuracy")
    best = max(accuracy, default=0.0)
    if not accuracy or best <= chance_bound(case.spec.test_images, case.spec.commonest):
        return ""
    epoch = accuracy.index(best) + 1
    return f"; its best, {best:.2f} %, is of epoch {epoch} of {len(accuracy)} and no result"


def diverged(case: Case) -> Iterator[Finding]:
    """It lost twenty points for good, or is at chance with a loss beyond all bounds."""
    accuracy, ce = case.series("test.accuracy"), case.final("test.ce")
    if len(accuracy) < 3 or ce is None:
        return
    best, now = max(accuracy), fmean(accuracy[-2:])
    if best - now > LOST:
        peak = accuracy.index(best)
        lines = (case.at(peak, f"test accuracy {best:.2f} %"), case.at(-1, f"{now:.2f} % at last"))
        yield Finding("divergence", "likely", lines)
        return
    exploded = case.learned_nothing and case.settled and ce > EXPLODED * log(case.spec.classes)
    if exploded and not (any(never_stepped(case)) or any(dominated(case))):
        text = f"test loss {ce:.3g} at chance level"
        yield Finding("divergence", "likely", (case.at(-1, text),))


def unrelated(case: Case) -> Iterator[Finding]:
    """It fits its training images but guesses on the test images: their labels do not agree."""
    train = case.final("train.accuracy")
    if not (case.learned_nothing and case.settled) or train is None:
        return
    if train > max(3 * case.chance, case.chance + 10):
        text = f"training accuracy {train:.1f} %, but {case.learned_nothing}"
        yield Finding("bad-data", "likely", (case.at(-1, text),))


def other_data(case: Case) -> Iterator[Finding]:
    """Its images are not those that the other runs of the dataset saw."""
    own = case.facts.get("data")
    if not own or not case.peers.data:
        return
    common, count = case.peers.data.most_common(1)[0]
    if own != common and count > case.peers.data[own]:
        text = f"data {own[:12]}, but {common[:12]} in {count} other runs"
        yield Finding("bad-data", "certain", (case.fact("data", text),))


def nothing_learned(case: Case) -> Iterator[Finding]:
    """It is at chance and no other rule says why."""
    if case.learned_nothing and case.settled:
        others = (never_stepped, collapsed, diverged, unrelated, dominated)
        if not any(finding for rule in others for finding in rule(case)):
            shown = (
                case.at(-1, case.learned_nothing)
                if case.records
                else case.says(case.learned_nothing)
            )
            yield Finding("nothing-learned", "possible", (shown,))
