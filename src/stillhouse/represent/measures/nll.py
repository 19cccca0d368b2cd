"""Negative log likelihood of the labels."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from stillhouse.represent.measures.base import Measure
from stillhouse.represent.measures.inputs import Floats, Integers


def mean_nll(logits: Floats, labels: Integers) -> float:
    """Return the mean negative log likelihood of the labels in nats."""
    # Rounding may give -1e-17 where the class is certain.
    return max(0.0, float(-log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()))


MEASURES = (
    Measure(
        name="nll",
        kind="predictions",
        unit="nats",
        range=(0.0, None),
        direction="lower_is_better",
        invariances=("logit_shift",),
        cost="N C",
        citation="Guo et al. 2017",
        compute=lambda given: mean_nll(given.logits, given.labels),
        definition="Mean negative log likelihood of the labels under softmax(z) over the test "
        "rows: the test loss without label smoothing.",
        floor="ln C for uniform predictions.",
        ceiling="0.",
        pitfalls="A few confident errors decide it.",
        reading="Mixes accuracy and calibration; ece separates the second.",
    ),
)
