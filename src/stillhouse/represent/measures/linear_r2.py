"""Linear predictivity: how well one layer's features predict the other's on held-out rows."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable
from stillhouse.represent.measures.inputs import Floats, Pair, Representation

RIDGE = 1e-3


def held_out_r2(a: Representation, b: Representation, even: Floats, odd: Floats) -> float:
    """Return R^2 of ridge from a to b, fitted on even rows and scored on odd rows.

    `even` and `odd` are the products of the components of a and b over those rows. All is done in
    the bases of the components, which changes neither the penalty nor the errors.
    """
    s, t = a.components[1], b.components[1]
    within = s[:, None] * a.even_gram * s
    penalty = RIDGE * np.trace(within) / a.width
    total = _total(b)
    if not (penalty > 0 and total > 0):
        raise NotApplicable("the features do not vary over every second row")
    system = within + penalty * np.eye(len(s))
    weights = linalg.solve(system, s[:, None] * even * t, assume_a="pos")
    fitted = s[:, None] * (np.eye(len(s)) - a.even_gram) * s
    crossed = s[:, None] * odd * t
    held_out = float((t**2 * (1 - np.diag(b.even_gram))).sum())
    error = held_out - 2 * float((weights * crossed).sum())
    error += float((weights * (fitted @ weights)).sum())
    return 1 - error / total


def _total(b: Representation) -> float:
    """Return the sum of squares of the odd rows around their own mean."""
    u, t = b.components
    square = float((t**2 * (1 - np.diag(b.even_gram))).sum())
    mean = u[1::2].mean(axis=0) * t
    return square - len(u[1::2]) * float(mean @ mean)


def _ab(pair: Pair) -> float:
    return held_out_r2(pair.a, pair.b, *pair.products)


def _ba(pair: Pair) -> float:
    even, odd = pair.products
    return held_out_r2(pair.b, pair.a, even.T, odd.T)


def _measure(name: str, source: str, target: str) -> Measure:
    return Measure(
        name=name,
        kind="pair",
        unit="",
        range=(None, 1.0),
        direction="similarity",
        invariances=ROTATION,
        cost="N D^2",
        citation="Yamins et al. 2014; Kornblith et al. 2019, section 3",
        compute=_ab if name.endswith("ab") else _ba,
        definition=f"Ridge from {source} to {target} without intercept on the centred features, "
        "fitted on the rows of even position in id order, scored on the odd ones; lambda = 1e-3 "
        "tr(X'X) / D over the fitted rows; R^2 = 1 - SSE / SST pooled over features, SST around "
        "the mean of the scored rows.",
        floor="Slightly below 0 for independent rows (about -D / N).",
        ceiling="1 for a linear map without noise; SNR / (1 + SNR) with noise.",
        pitfalls="Not symmetric: a wide layer predicts a narrow one more easily. Pooling lets the "
        "features of large variance decide.",
        reading=f"What share of {target}'s variance is a linear function of {source}.",
    )


MEASURES = (_measure("linear_r2_ab", "a", "b"), _measure("linear_r2_ba", "b", "a"))
