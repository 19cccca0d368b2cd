"""Centred kernel alignment with Gaussian kernels of four bandwidths."""

from __future__ import annotations

import numpy as np
from scipy.spatial.distance import squareform

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable, Value
from stillhouse.represent.measures.inputs import Floats, Pair

BANDWIDTHS = (0.2, 0.5, 1.0, 2.0)


def kernel(distances: Floats, bandwidth: float) -> Floats:
    """Return exp(-d^2 / 2 sigma^2) with zero diagonal; sigma is bandwidth x median distance."""
    sigma = bandwidth * float(np.median(distances))
    if sigma == 0:
        raise NotApplicable("the median distance between rows is zero")
    matrix: Floats = squareform(np.exp(-(distances**2) / (2 * sigma**2)))
    return matrix


def unbiased_hsic(k: Floats, other: Floats) -> float:
    """Return n(n - 3) HSIC_u of two kernel matrices with zero diagonal (Song et al. 2012)."""
    n = len(k)
    sums, others = k.sum(axis=0), other.sum(axis=0)
    means = sums.sum() * others.sum() / ((n - 1) * (n - 2))
    return float((k * other).sum() + means - 2 / (n - 2) * (sums @ others))


def _compute(pair: Pair) -> list[Value]:
    values, distances = [], (pair.a.distances, pair.b.distances)
    for bandwidth in BANDWIDTHS:
        k, other = (kernel(of_one, bandwidth) for of_one in distances)
        norms = unbiased_hsic(k, k), unbiased_hsic(other, other)
        details = {"rows": len(k), "bandwidth": bandwidth}
        if min(norms) <= 0:
            why = "the unbiased HSIC of a representation with itself is not positive"
            values.append(Value(None, details, why))
        else:
            value = unbiased_hsic(k, other) / float(np.sqrt(norms[0]) * np.sqrt(norms[1]))
            values.append(Value(value, details))
    return values


MEASURES = (
    Measure(
        name="rbf_cka",
        kind="pair",
        unit="",
        range=(None, None),
        direction="similarity",
        invariances=ROTATION,
        cost="M^2 D, M <= 1,000 rows, for each of 4 bandwidths",
        citation="Kornblith et al. 2019; unbiased HSIC: Song et al. 2012",
        compute=_compute,
        definition="As linear_cka with kernel exp(-d^2 / 2 sigma^2), sigma = f times the median "
        "distance between different rows of the rows used, per representation; f in the column "
        "`bandwidth` (0.2, 0.5, 1, 2).",
        floor="0 in expectation for independent rows.",
        ceiling="1 for X = c Y Q + b.",
        pitfalls="The bandwidth decides the value; for wide kernels it tends to linear_cka "
        "(Alvarez 2021). Never compare values of different bandwidths.",
        reading="As a curve over the bandwidth, beside the pure student's curve.",
        default=False,
        details=("rows", "bandwidth"),
    ),
)
