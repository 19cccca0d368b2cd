"""Independent components of two layers, matched one to one."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable
from stillhouse.represent.measures.inputs import Floats, Pair, Representation

VARIANCE, MOST, RESTARTS, ITERATIONS = 0.99, 20, 5, 300
GAUSS_LOGCOSH = 0.374567207491438  # E[log cosh] of a standard normal variable


def sources(given: Representation) -> Floats:
    """Return the independent components: rows x k, variance 1.

    The principal components that hold 99 % of the variance, 20 at most, whitened; then FastICA
    from 5 seeds, of which the one of largest negentropy is kept.
    """
    cumulative = np.cumsum(given.eigenvalues) / given.eigenvalues.sum()
    k = min(MOST, int((cumulative < VARIANCE).sum()) + 1)
    white: Floats = given.components[0][:, :k] * np.sqrt(given.rows)
    best: tuple[float, Floats] | None = None
    for seed in range(RESTARTS if k > 1 else 0):
        found = _fitted(white, seed)
        if found is not None:
            negentropy = float(((_logcosh(found) - GAUSS_LOGCOSH) ** 2).sum())
            if best is None or negentropy > best[0]:
                best = negentropy, found
    if k == 1:
        return white
    if best is None:
        raise NotApplicable(f"FastICA of {given.name} converged from none of {RESTARTS} seeds")
    return best[1]


def _fitted(white: Floats, seed: int) -> Floats | None:
    """Return the components that FastICA finds from a seed; None where it does not converge."""
    model = FastICA(whiten=False, max_iter=ITERATIONS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            found: Floats = model.fit_transform(white)
        except ConvergenceWarning:
            return None
    return found


def _logcosh(x: Floats) -> Floats:
    mean: Floats = (np.logaddexp(x, -x) - np.log(2)).mean(axis=0)
    return mean


def _compute(pair: Pair) -> float:
    a, b = sources(pair.a), sources(pair.b)
    table = np.abs(a.T @ b) / pair.a.rows
    return float(table[linear_sum_assignment(-table)].mean())


MEASURES = (
    Measure(
        name="ica_matching",
        kind="pair",
        unit="",
        range=(0.0, 1.0),
        direction="similarity",
        invariances=ROTATION,
        cost="5 fits of FastICA per layer",
        citation="Hyvarinen and Oja 2000; Li et al. 2016 (matching)",
        compute=_compute,
        definition="Mean absolute correlation of independent components matched one to one "
        "(Hungarian algorithm). Components: PCA-whitened to 99 % of the variance, 20 at most, "
        "FastICA (logcosh) from 5 seeds, the fit of largest negentropy among those that converge.",
        floor="Above 0: matching picks the largest of chance correlations; take the permuted rows.",
        ceiling="1 for X = c Y Q + b with identifiable components.",
        pitfalls="Gaussian directions have no independent components: such a fit does not "
        "converge and the value is missing. Rounding may choose another of the 5 fits.",
        reading="Only beside the permuted floor and the pure student.",
        default=False,
    ),
)
