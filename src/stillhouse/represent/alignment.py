"""A student's features in its teacher's space: fitted on half of the rows, shown on the others.

Channel i of a student has nothing to do with channel i of its teacher, so its features are no
points in the teacher's space before they are rotated into it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stillhouse.errors import DataError

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Aligned:
    """The held-out rows in the plane of the teacher's classes, each rows x 2.

    `residual` is what the alignment leaves of the teacher's variance on these rows, in all
    dimensions (0: equal up to rotation and scale; may exceed 1).
    """

    student: Floats
    teacher: Floats
    labels: NDArray[np.int64]
    residual: float


def align(student: ArrayLike, teacher: ArrayLike, labels: ArrayLike) -> Aligned:
    """Rotate and scale a student's features (rows x features) onto its teacher's.

    Rotation and scale are the least-squares ones (orthogonal Procrustes) of the rows of even
    position, after zeros fill up the narrower side; the rows of odd position are returned. The
    plane is that of the first two principal components of the teacher's class means over even
    rows. Raises DataError for features that are not finite or do not vary, or of other rows.
    """
    x, y = _padded(student, teacher)
    known = np.asarray(labels, dtype=np.int64)
    x, y = (side - side[::2].mean(axis=0) for side in (x, y))
    fitted, target = x[::2], y[::2]
    size = float((fitted**2).sum())
    if not size > 0 or not (target**2).sum() > 0:
        raise DataError("no feature varies over the rows", "extract again, or leave the run out")
    u, s, vt = np.linalg.svd(fitted.T @ target)
    moved = (s.sum() / size) * (x[1::2] @ (u @ vt))
    left = float(((moved - y[1::2]) ** 2).sum() / (y[1::2] ** 2).sum())
    plane = _plane(target, known[::2])
    return Aligned(moved @ plane, y[1::2] @ plane, known[1::2], left)


def _padded(student: ArrayLike, teacher: ArrayLike) -> tuple[Floats, Floats]:
    x, y = (np.asarray(side, dtype=np.float64) for side in (student, teacher))
    if len(x) != len(y):
        raise DataError(
            f"{len(x)} rows of the student, {len(y)} of the teacher: only the same rows compare",
            "extract both again from the same dataset",
        )
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise DataError("the features hold NaN or infinity", "look at the run with doctor")
    width = max(x.shape[1], y.shape[1], 2)
    padded = [np.pad(side, ((0, 0), (0, width - side.shape[1]))) for side in (x, y)]
    return padded[0], padded[1]


def _plane(rows: Floats, labels: NDArray[np.int64]) -> Floats:
    """Two orthonormal directions, features x 2; each with its largest entry positive."""
    means = np.stack([rows[labels == label].mean(axis=0) for label in np.unique(labels)])
    _, _, vt = np.linalg.svd(means - means.mean(axis=0))
    plane: Floats = vt[:2].T
    return plane * np.sign(plane[np.abs(plane).argmax(axis=0), [0, 1]])
