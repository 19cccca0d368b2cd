"""Negative flips: rows that distillation lost."""

from __future__ import annotations

from stillhouse.represent.measures.base import Measure
from stillhouse.represent.measures.inputs import Predictions


def _compute(given: Predictions) -> float:
    assert given.pure is not None
    right = given.pure.argmax(axis=1) == given.labels
    return 100 * float((right & (given.logits.argmax(axis=1) != given.labels)).mean())


MEASURES = (
    Measure(
        name="flips",
        kind="predictions",
        unit="percent",
        range=(0.0, 100.0),
        direction="lower_is_better",
        invariances=("logit_shift", "isotropic_scaling"),
        cost="N C",
        citation="Yan et al. 2021 (negative flip rate)",
        compute=_compute,
        definition="Share of test rows that the pure student gets right and the distilled student "
        "of the same seed wrong.",
        floor="0.",
        ceiling="Two pure students of other seeds: what a new seed alone flips.",
        pitfalls="Most flips are seed noise: compare with two pure students, not with 0.",
        reading="What a method costs on rows that were right without it.",
        needs=("pure",),
    ),
)
