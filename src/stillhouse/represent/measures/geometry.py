"""Distances of a representation's rows, reduced to ranks and neighbours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import squareform

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
NEIGHBOURS = 10


@dataclass(frozen=True)
class Geometry:
    """Distances of the used rows, reduced to what is compared.

    `ranks` of all distances, centred, of norm 1 (zeros if all are equal); `class_ranks` the same
    inside each class with at least 3 used rows, one class after the other, each beginning at its
    entry of `class_starts`; `neighbours` marks the 10 nearest used rows of each used row (used x
    used), of equal ones the lower.
    """

    ranks: Floats
    class_ranks: Floats
    class_starts: Integers
    classes: list[int]
    neighbours: NDArray[np.bool_]


def geometry(distances: Floats, labels: Integers) -> Geometry:
    """Return the geometry of rows with these distances (as `pdist` gives them) and labels."""
    square = squareform(distances)
    parts, classes = [], []
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if len(members) >= 3:
            inside = square[np.ix_(members, members)]
            parts.append(unit_ranks(inside[np.triu_indices(len(members), 1)]))
            classes.append(int(label))
    np.fill_diagonal(square, np.inf)
    return Geometry(
        ranks=unit_ranks(distances),
        class_ranks=np.concatenate([np.empty(0), *parts]),
        class_starts=np.cumsum([0, *(len(part) for part in parts)])[:-1],
        classes=classes,
        neighbours=nearest(square, min(NEIGHBOURS, len(square) - 1)),
    )


def unit_ranks(values: Floats) -> Floats:
    """Return average ranks, centred and of norm 1: the dot product of two is Spearman's rho."""
    ranks = average_ranks(values) - (len(values) + 1) / 2
    norm = np.linalg.norm(ranks)
    scaled: Floats = ranks / norm if norm > 0 else np.zeros_like(ranks)
    return scaled


def average_ranks(values: Floats) -> Floats:
    """Return ranks from 1, equal values with their mean rank: scipy.stats.rankdata, faster."""
    order = np.argsort(values)
    ordered = values[order]
    first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    counts = np.diff(np.append(first, len(values)))
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    return ranks


def nearest(distances: Floats, k: int) -> NDArray[np.bool_]:
    """Mark the k smallest entries of each row; of equal ones those of lower column."""
    limit = np.partition(distances, k - 1, axis=1)[:, k - 1 : k]
    marks: NDArray[np.bool_] = distances <= limit
    for row in np.flatnonzero(marks.sum(axis=1) > k):
        marks[row] = False
        marks[row, np.argsort(distances[row], kind="stable")[:k]] = True
    return marks
