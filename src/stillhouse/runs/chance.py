"""Check whether a run learned anything: its last accuracy against chance level. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import ceil, exp, lgamma, log
from typing import Any

CONFIDENCE = 0.999
FEW_CLASSES = 2
PATIENCE_EPOCHS, PATIENCE_FRACTION, PATIENCE_STEPS = 5, 0.05, 200


@cache
def chance_bound(images: int, commonest: int) -> float:
    """Return the accuracy in percent that guessing exceeds once in a thousand times.

    It is the 0.999 quantile of the binomial distribution with `images` draws and the share of the
    largest class, `commonest` / `images`.
    """
    share = commonest / images
    whole, below = lgamma(images + 1), 0.0
    for right in range(images):
        ways = whole - lgamma(right + 1) - lgamma(images - right + 1)
        below += exp(ways + right * log(share) + (images - right) * log(1 - share))
        if below >= CONFIDENCE:
            return 100.0 * right / images
    return 100.0


def never_learned(best: float, epochs: int, images: int, commonest: int) -> str:
    """Return why the best test accuracy (%) of all epochs is at chance level; else empty."""
    chance = 100.0 * commonest / images
    what = f"its best test accuracy, {best:.2f} % of {epochs} epochs, is"
    if best < chance:
        return f"{what} below chance ({chance:.2f} %)"
    bound = chance_bound(images, commonest)
    return f"{what} at chance level (up to {bound:.2f} %)" if best <= bound else ""


def patience(epochs: int, steps: int) -> int:
    """Return after how many epochs at chance level a run fails, with `steps` steps per epoch.

    A few steps per epoch, as with some hundred images, are too few for the running statistics of
    batch norm, and few test images have a wide chance level: a network that learned well tested at
    chance level for its first 125 steps.
    """
    by_steps = ceil(PATIENCE_STEPS / max(1, steps))
    return max(PATIENCE_EPOCHS, ceil(PATIENCE_FRACTION * epochs), by_steps)


def learned_nothing(test: Mapping[str, Any], classes: int, images: int, commonest: int) -> str:
    """Return why a trained network's test measurement is at chance level; else empty.

    `test` has `accuracy` in percent and, if recorded, `classes_predicted`.
    """
    accuracy, bound = float(test["accuracy"]), chance_bound(images, commonest)
    if accuracy <= bound:
        return f"test accuracy {accuracy:.2f} % is at chance level (up to {bound:.2f} %)"
    predicted = test.get("classes_predicted", classes)
    if predicted <= FEW_CLASSES < classes / 2:
        return f"it predicts {predicted} of {classes} classes"
    return ""
