"""Whether a run learned anything: its last accuracy against that of guessing. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from math import ceil, exp, lgamma, log
from typing import Any

CONFIDENCE = 0.999
FEW_CLASSES = 2
PATIENCE_EPOCHS, PATIENCE_FRACTION = 5, 0.05


@cache
def chance_bound(images: int, commonest: int) -> float:
    """The accuracy in percent that a guess exceeds once in a thousand times.

    The 0.999 quantile of the binomial distribution with `images` draws and the share of the
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
    """Why the best test accuracy (%) of all epochs is no better than guessing; else empty."""
    chance = 100.0 * commonest / images
    what = f"its best test accuracy, {best:.2f} % of {epochs} epochs, is"
    if best < chance:
        return f"{what} below chance ({chance:.2f} %)"
    bound = chance_bound(images, commonest)
    return f"{what} what guessing reaches (up to {bound:.2f} %)" if best <= bound else ""


def patience(epochs: int) -> int:
    """After how many epochs of all that are planned accuracy at chance level is judged."""
    return max(PATIENCE_EPOCHS, ceil(PATIENCE_FRACTION * epochs))


def learned_nothing(test: Mapping[str, Any], classes: int, images: int, commonest: int) -> str:
    """Why the test measurement of a trained network is no better than guessing; else empty.

    `test` has `accuracy` in percent and, where it was recorded, `classes_predicted`.
    """
    accuracy, bound = float(test["accuracy"]), chance_bound(images, commonest)
    if accuracy <= bound:
        return f"test accuracy {accuracy:.2f} % is what guessing reaches (up to {bound:.2f} %)"
    predicted = test.get("classes_predicted", classes)
    if predicted <= FEW_CLASSES < classes / 2:
        return f"it predicts {predicted} of {classes} classes"
    return ""
