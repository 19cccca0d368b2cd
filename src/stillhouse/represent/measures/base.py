"""What a measure of representations is: its declaration, its inputs and its values.

A file of this package declares `MEASURES`, a tuple of `Measure`. Each is a pure function of one
input: a `Representation` (one layer of one run), a `Pair` of them, or `Predictions` (logits).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stillhouse.represent.measures.inputs import Pair, Predictions, Representation

Floats = NDArray[np.float64]
Kind = Literal["representation", "pair", "predictions"]
Direction = Literal["similarity", "distance", "higher_is_better", "lower_is_better", "neither"]
Detail = int | float | str
Invariance = Literal[
    "channel_permutation",
    "orthogonal",
    "isotropic_scaling",
    "channel_scaling",
    "translation",
    "invertible_linear",
    "logit_shift",
]
ROTATION: tuple[Invariance, ...] = (
    "channel_permutation",
    "orthogonal",
    "isotropic_scaling",
    "translation",
)


class NotApplicable(Exception):
    """Raised by a measure that has no value for its input; `reason` fills the column `why`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Value:
    """One row of a table: the value and its detail columns, or None and the reason in `why`."""

    value: float | None
    details: Mapping[str, Detail] = field(default_factory=dict)
    why: str = ""


@dataclass(frozen=True)
class Measure:
    """The declaration of a measure.

    `range` is (lowest, highest) in `unit`, None where unbounded. `details` names the detail
    columns of its values. `needs` names the optional inputs without which it has no value
    (`labels`, `bank`: labelled training rows; `teacher`, `pure`: the other network's logits).
    The texts fill docs/measures.md.
    """

    name: str
    kind: Kind
    unit: str
    range: tuple[float | None, float | None]
    direction: Direction
    invariances: tuple[Invariance, ...]
    cost: str
    citation: str
    compute: Callable[..., float | Sequence[Value]]
    definition: str
    floor: str
    ceiling: str
    pitfalls: str
    reading: str
    default: bool = True
    details: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def __call__(self, given: Representation | Pair | Predictions) -> list[Value]:
        """Return the values for an input; exactly one with a reason where it is not applicable."""
        try:
            if given.problem:
                raise NotApplicable(given.problem)
            for name in self.needs:
                if reason := given.lacks(name):
                    raise NotApplicable(reason)
            found = self.compute(given)
        except NotApplicable as missing:
            return [Value(None, why=missing.reason)]
        return (
            [_finite(value) for value in found]
            if isinstance(found, Sequence)
            else [_finite(Value(float(found)))]
        )


def _finite(value: Value) -> Value:
    """Return the value, or n/a for one that is NaN or infinite: no such cell enters a table."""
    if value.value is None or np.isfinite(value.value):
        return value
    return Value(None, value.details, "the value is not finite")
