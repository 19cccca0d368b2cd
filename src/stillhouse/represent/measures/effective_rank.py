"""Effective rank: exponential of the entropy of the spectrum."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure
from stillhouse.represent.measures.inputs import Representation


def _compute(representation: Representation) -> float:
    shares = representation.eigenvalues / representation.eigenvalues.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


MEASURES = (
    Measure(
        name="effective_rank",
        kind="representation",
        unit="dimensions",
        range=(1.0, None),
        direction="neither",
        invariances=ROTATION,
        cost="N D^2",
        citation="Roy and Vetterli 2007",
        compute=_compute,
        definition="exp of the entropy of l / sum l over the eigenvalues l of the covariance "
        "matrix (RankMe takes the singular values instead: up to three times as large).",
        floor="1: all variance in one direction.",
        ceiling="min(D, N - 1): all directions have the same variance.",
        pitfalls="Not comparable with RankMe's numbers. Depends on the scale of single channels.",
        reading="Compare with the teacher's value at the same depth.",
    ),
)
