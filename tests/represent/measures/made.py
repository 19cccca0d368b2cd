"""Inputs of measures, made from a seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stillhouse.represent.measures import Measure, Pair, Predictions, Representation

Floats = NDArray[np.float64]
Change = Callable[[Floats], Floats]


def classes_of(rows: int, classes: int = 10) -> NDArray[np.int64]:
    return np.arange(rows) * 7 % classes


def normal(seed: int, rows: int, features: int = 8) -> Floats:
    return np.random.default_rng(seed).standard_normal((rows, features))


def skewed(seed: int, rows: int, features: int = 8) -> Floats:
    """Features that are not normal, as FastICA needs them."""
    return np.random.default_rng(seed).standard_exponential((rows, features))


def network(seed: int, rows: int, features: int = 8, signal: float = 1.0) -> Floats:
    """Classes apart, channels of unequal variance, some shared directions: like a layer."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).standard_normal((10, features))
    mixed = rng.standard_normal((rows, features)) @ rng.standard_normal((features, features))
    return 3 + signal * 2 * centres[classes_of(rows)] + mixed * np.linspace(0.3, 1, features)


def logits(seed: int, rows: int, classes: int = 10) -> Floats:
    """Logits of a network that is right in about half of the rows."""
    return normal(seed, rows, classes) * 2 + 2 * np.eye(classes)[classes_of(rows)]


def orthogonal(seed: int, size: int) -> Floats:
    q: Floats = np.linalg.qr(normal(seed, size, size))[0]
    return q


def given(
    measure: Measure,
    x: Floats,
    y: Floats,
    bank: Floats | None = None,
    change: Change = lambda x: x,
) -> Representation | Pair | Predictions:
    """The input of a measure: x (and y) as features or logits; `change` applied to x."""
    labels = classes_of(len(x))
    bank = x if bank is None else bank
    if measure.kind == "representation":
        return Representation(change(x), labels, bank=(change(bank), classes_of(len(bank))))
    if measure.kind == "pair":
        return Pair(Representation(change(x), labels), Representation(y, labels))
    train = change(bank), classes_of(len(bank))
    return Predictions(change(x), labels, train, teacher=y, pure=y)


def values(measure: Measure, *inputs: Floats, **options: object) -> list[float]:
    """The values of a measure, none of them missing."""
    found = measure(given(measure, *inputs, **options))  # type: ignore[arg-type]
    assert [value.why for value in found] == [""] * len(found)
    return [value.value for value in found if value.value is not None]
