"""Weights of cross entropy and a method's terms: the published total, or a convex form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stillhouse.errors import ConfigError

Total = Literal["reference", "convex", "additive"]


@dataclass(frozen=True)
class Reference:
    """The published total loss, `ce * CE + sum(weights[term] * term)`.

    `alpha` is the value at which the convex form `(1 - alpha) CE + alpha w L` has the same
    L : CE ratio (0.5 unless the paper itself is convex).
    """

    ce: float
    weights: dict[str, float]
    alpha: float = 0.5


def coefficients(reference: Reference, total: Total, alpha: float | None) -> dict[str, float]:
    """Return the coefficients of `ce` and of every term.

    `reference` is the published total. `convex` is `(1 - alpha) CE + alpha w L`; w is set so that
    the ratio L : CE at `reference.alpha` is the published one. `additive` is the convex form
    divided by (1 - alpha): the same ratio, with CE (and so the effective learning rate) unscaled.
    `alpha=None` means `reference.alpha`. Raises ConfigError for an alpha out of range, and for
    another form of a published total without CE, which has no ratio L : CE.
    """
    if total == "reference":
        return {"ce": reference.ce, **reference.weights}
    if alpha is None:
        alpha = reference.alpha
    if not 0 <= alpha < 1:
        raise ConfigError(f"loss weight alpha is {alpha}", "expected 0 <= alpha < 1")
    if not reference.ce:
        raise ConfigError(
            f"the total '{total}' keeps the published ratio to cross entropy, but the published "
            "total has no cross entropy",
            "set `total: reference`",
        )
    odds = (1 - reference.alpha) / reference.alpha
    unit = {name: weight / reference.ce * odds for name, weight in reference.weights.items()}
    if total == "convex":
        return {"ce": 1 - alpha, **{name: alpha * w for name, w in unit.items()}}
    return {"ce": 1.0, **{name: alpha / (1 - alpha) * w for name, w in unit.items()}}


def effective_ratio(weights: dict[str, float]) -> dict[str, float]:
    """Return each term's coefficient divided by that of CE (infinite if CE has weight 0)."""
    ce = weights["ce"]
    return {k: w / ce if ce else float("inf") for k, w in weights.items() if k != "ce"}


def ramped(coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
    """Return the coefficients, those of the terms growing linearly over the first `epochs` epochs.

    That of `ce` stays. Epoch 0 has the part 1 / `epochs`.
    """
    part = min(1.0, (epoch + 1) / epochs)
    return {name: w if name == "ce" else part * w for name, w in coefficients.items()}
