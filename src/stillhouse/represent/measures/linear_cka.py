"""Linear centred kernel alignment with the unbiased estimator of HSIC."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable
from stillhouse.represent.measures.inputs import Floats, Pair


def unbiased_hsic(product: float, a: Floats, b: Floats) -> float:
    """Return n(n - 3) HSIC_u of two linear kernels (Song et al. 2012, Eq. 5).

    `product` is the squared Frobenius norm of X'Y, `a` and `b` the squared row norms of the
    centred X and Y.
    """
    n = len(a)
    return float(product - n / (n - 2) * (a @ b) + a.sum() * b.sum() / ((n - 1) * (n - 2)))


def _compute(pair: Pair) -> float:
    a, b = pair.a.squared_norms, pair.b.squared_norms
    cross = unbiased_hsic(float((pair.covariances**2).sum()), a, b)
    own_a = unbiased_hsic(float((pair.a.components[1] ** 4).sum()), a, a)
    own_b = unbiased_hsic(float((pair.b.components[1] ** 4).sum()), b, b)
    if own_a <= 0 or own_b <= 0:
        raise NotApplicable("the unbiased HSIC of a representation with itself is not positive")
    return cross / float(np.sqrt(own_a) * np.sqrt(own_b))


MEASURES = (
    Measure(
        name="linear_cka",
        kind="pair",
        unit="",
        range=(None, None),
        direction="similarity",
        invariances=ROTATION,
        cost="N D^2",
        citation="Kornblith et al. 2019; unbiased HSIC: Song et al. 2012, Nguyen et al. 2021",
        compute=_compute,
        definition="HSIC_u(X, Y) / sqrt(HSIC_u(X, X) HSIC_u(Y, Y)) with linear kernels of the "
        "centred features and the unbiased estimator in numerator and both norms; not clipped.",
        floor="0 in expectation for independent rows, whatever the numbers of rows and features; "
        "slightly negative values occur.",
        ceiling="1 for X = c Y Q + b; in practice the value between two teachers of other seeds.",
        pitfalls="The components of largest variance dominate it; a few outlying rows or one "
        "shifted class move it. Networks that never saw each other score high where the inputs "
        "are similar: read it against the floor, the pure student and the ceiling.",
        reading="Read the difference to the pure student with the same teacher (excess), not the "
        "height.",
    ),
)
