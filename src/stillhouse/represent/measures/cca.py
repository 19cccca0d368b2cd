"""Canonical correlations: of all components, and of the ten largest principal components."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable
from stillhouse.represent.measures.inputs import Floats, Pair

COMPONENTS = 10


def mean_correlation(cosines: Floats, rows: int) -> float:
    """Return the mean singular value of a product of two orthonormal bases over `rows` rows."""
    if sum(cosines.shape) > rows - 1:
        raise NotApplicable(
            f"ranks {cosines.shape[0]} and {cosines.shape[1]} over {rows} rows: canonical "
            "correlations of 1 are forced"
        )
    return float(np.linalg.svd(cosines, compute_uv=False).mean())


def _all(pair: Pair) -> float:
    return mean_correlation(pair.cosines, pair.a.rows)


def _largest(pair: Pair) -> float:
    return mean_correlation(pair.cosines[:COMPONENTS, :COMPONENTS], pair.a.rows)


MEASURES = (
    Measure(
        name="cca_mean",
        kind="pair",
        unit="",
        range=(0.0, 1.0),
        direction="similarity",
        invariances=(*ROTATION, "channel_scaling", "invertible_linear"),
        cost="N D^2",
        citation="Hotelling 1936; Raghu et al. 2017",
        compute=_all,
        definition="Mean canonical correlation rho (not squared) over min(rank X, rank Y); the "
        "rank counts singular values above 1e-6 of the largest.",
        floor="About sqrt(D / N) for independent rows, not 0.",
        ceiling="1 for Y = X W + b with invertible W.",
        pitfalls="Directions that carry no variance count as much as the largest: noise inflates "
        "or hides agreement. No value where the ranks together exceed the rows.",
        reading="Subtract the permuted floor before comparing layers of different widths.",
    ),
    Measure(
        name="svcca",
        kind="pair",
        unit="",
        range=(0.0, 1.0),
        direction="similarity",
        invariances=ROTATION,
        cost="N D^2",
        citation="Raghu et al. 2017",
        compute=_largest,
        definition="Mean canonical correlation rho (not squared) between the 10 largest principal "
        "components of each layer, features unscaled; fewer where the rank is lower.",
        floor="About sqrt(10 / N) for independent rows.",
        ceiling="1 for X = c Y Q + b.",
        pitfalls="A direction that is tenth here and eleventh there is lost: small changes of the "
        "spectrum may move it. The number of components is fixed, not a share of variance.",
        reading="Whether the ten directions of most variance span the same space of rows.",
    ),
)
