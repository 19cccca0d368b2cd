"""Participation ratio: the number of directions among which the variance is spread."""

from __future__ import annotations

from stillhouse.represent.measures.base import ROTATION, Measure
from stillhouse.represent.measures.inputs import Representation


def _compute(representation: Representation) -> float:
    values = representation.eigenvalues
    return float(values.sum() ** 2 / (values**2).sum())


MEASURES = (
    Measure(
        name="participation_ratio",
        kind="representation",
        unit="dimensions",
        range=(1.0, None),
        direction="neither",
        invariances=ROTATION,
        cost="N D^2",
        citation="Gao et al. 2017",
        compute=_compute,
        definition="(sum l)^2 / sum l^2 over the eigenvalues l of the covariance matrix of the "
        "centred features.",
        floor="1: all variance in one direction.",
        ceiling="min(D, N - 1); about D N / (D + N) for isotropic noise.",
        pitfalls="One channel of large variance pulls it towards 1; channels that never fire do "
        "not count. Not a measure of curvature.",
        reading="Compare with the teacher's value at the same depth; effective_rank beside it "
        "weighs small directions more.",
    ),
)
