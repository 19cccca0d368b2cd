"""Kullback-Leibler divergence from the teacher's to the student's softened predictions."""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax

from stillhouse.represent.measures.base import Measure
from stillhouse.represent.measures.inputs import Floats, Predictions


def mean_kl(teacher: Floats, student: Floats, temperature: float) -> float:
    """Return mean KL(teacher || student) of softmax(logits / temperature) in nats, no T^2."""
    log_q = log_softmax(teacher / temperature, axis=1)
    log_p = log_softmax(student / temperature, axis=1)
    # Rounding may give -1e-17 for equal logits.
    return max(0.0, float((np.exp(log_q) * (log_q - log_p)).sum(axis=1).mean()))


def _measure(temperature: int) -> Measure:
    def compute(given: Predictions) -> float:
        assert given.teacher is not None
        return mean_kl(given.teacher, given.logits, temperature)

    return Measure(
        name=f"kl_t{temperature}",
        kind="predictions",
        unit="nats",
        range=(0.0, None),
        direction="distance",
        invariances=("logit_shift",),
        cost="N C",
        citation="Stanton et al. 2021; Hinton et al. 2015",
        compute=compute,
        definition=f"Mean KL(teacher || student) of softmax(z / {temperature}) over the test rows, "
        "in nats, without the factor T^2 of the distillation loss.",
        floor="The pure student with the same teacher is the control; it has no upper bound.",
        ceiling="0 for a copy (it is a distance); two teachers of other seeds in practice.",
        pitfalls="At T = 1 rows on which the student is confidently wrong decide the mean; label "
        "smoothing in teacher or student changes it without any transfer.",
        reading="Lower is closer to the teacher; beside agreement, which ignores confidence.",
        needs=("teacher",),
    )


MEASURES = (_measure(1), _measure(4))
