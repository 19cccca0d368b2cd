"""Which rows the measures of quadratic cost use: a fixed rule, so that anyone recomputes them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MOST_ROWS = 1000


def shares(counts: NDArray[np.int64], total: int) -> NDArray[np.int64]:
    """Divide `total` in proportion to counts by largest remainder; ties to the lower index."""
    exact = counts * total
    whole: NDArray[np.int64] = exact // counts.sum()
    left = total - int(whole.sum())
    remainders = exact - whole * counts.sum()
    whole[np.argsort(-remainders, kind="stable")[:left]] += 1
    return whole


def rows_used(
    labels: NDArray[np.int64] | None, rows: int, most: int = MOST_ROWS
) -> NDArray[np.int64]:
    """Return the rows, rising, that a measure of quadratic cost uses: all up to `most`.

    Else each class has its share t, and of its n_c rows the ones at floor(i n_c / t), i < t, in id
    order. Without labels all rows count as one class.
    """
    if rows <= most:
        return np.arange(rows)
    if labels is None:
        labels = np.zeros(rows, dtype=np.int64)
    classes, counts = np.unique(labels, return_counts=True)
    chosen = []
    for label, count, share in zip(classes, counts, shares(counts, most), strict=True):
        members = np.flatnonzero(labels == label)
        chosen.append(members[np.arange(share) * count // max(share, 1)])
    return np.sort(np.concatenate(chosen))
