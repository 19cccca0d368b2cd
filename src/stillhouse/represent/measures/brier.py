"""Brier score."""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from stillhouse.represent.measures.base import Measure
from stillhouse.represent.measures.inputs import Predictions


def _compute(given: Predictions) -> float:
    gaps = softmax(given.logits, axis=1)
    gaps[np.arange(len(gaps)), given.labels] -= 1
    return float((gaps**2).sum(axis=1).mean())


MEASURES = (
    Measure(
        name="brier",
        kind="predictions",
        unit="",
        range=(0.0, 2.0),
        direction="lower_is_better",
        invariances=("logit_shift",),
        cost="N C",
        citation="Brier 1950",
        compute=_compute,
        definition="Mean over the test rows of the sum over classes of (softmax(z) - one-hot "
        "label)^2: 0 to 2, not halved and not divided by C.",
        floor="1 - 1 / C for uniform predictions.",
        ceiling="0.",
        pitfalls="Other libraries halve it or divide it by C.",
        reading="Mixes accuracy and calibration like nll, but bounded per row.",
    ),
)
