"""Number of principal components that hold 90 and 95 % of the variance."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure
from stillhouse.represent.measures.inputs import Floats


def components_for(values: Floats, share: float) -> int:
    """Return the smallest k whose cumulative share of the eigenvalues is at least `share`."""
    cumulative = np.cumsum(values) / values.sum()
    # Rounding of the sum must not cost a component where the share is met exactly.
    return int((cumulative < share - 1e-12).sum()) + 1


def _measure(percent: int) -> Measure:
    return Measure(
        name=f"pca_{percent}",
        kind="representation",
        unit="components",
        range=(1.0, None),
        direction="neither",
        invariances=ROTATION,
        cost="N D^2",
        citation="Jolliffe 2002, section 6.1",
        compute=lambda given: float(components_for(given.eigenvalues, percent / 100)),
        definition=f"Smallest k for which the k largest eigenvalues of the covariance matrix hold "
        f"at least {percent} % of their sum.",
        floor="1.",
        ceiling="min(D, N - 1).",
        pitfalls="A whole number: small changes of the spectrum do not show, or show as a step; "
        "seeds often agree exactly, which is not precision.",
        reading="Beside participation_ratio and effective_rank, which move smoothly.",
    )


MEASURES = (_measure(90), _measure(95))
