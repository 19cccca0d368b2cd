"""Exact nearest rows among many: chosen in float32, certified and ranked in float64.

A row whose choice float32 cannot certify (near ties) is done again in float64 against all rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stillhouse.represent.measures.inputs import Floats, Integers

CHUNK = 128
GROUPS = 400
SPARE = 6
Scores = Callable[[Floats, Floats], Floats]


def most_similar(queries: Floats, bank: Floats, k: int) -> tuple[Integers, Floats]:
    """Return the k rows of the bank of largest cosine similarity to each query, and the cosines.

    Both queries x k, most similar first; of equal ones the lower row first. Rows of zeros have
    similarity 0 to everything.
    """
    queries, bank = _unit(queries), _unit(bank)

    def cosines(query: Floats, rows: Floats) -> Floats:
        found: Floats = (rows @ query[..., None])[..., 0]
        return found

    zeros = np.zeros(len(bank), dtype=np.float32)
    return _search(queries, bank, zeros, k, cosines, 1.0, skip_self=False)


def two_nearest(x: Floats) -> Floats:
    """Return the Euclidean distances to the two nearest other rows: rows x 2, rising."""
    x = x - x.mean(axis=0)
    # By a power of two, which rounds nothing: squares must not vanish or overflow in float32.
    size = 2.0 ** np.frexp(np.abs(x).max())[1]
    x = x / size
    half = np.einsum("ij,ij->i", x, x) / 2
    scale = float(half.max()) * 2

    def closeness(query: Floats, rows: Floats) -> Floats:
        gaps = rows - query[..., None, :]
        found: Floats = -np.einsum("...ij,...ij->...i", gaps, gaps) / 2
        return found

    _, scores = _search(x, x, half.astype(np.float32), 2, closeness, scale, skip_self=True)
    distances: Floats = size * np.sqrt(-2 * scores)
    return distances


def _search(
    queries: Floats,
    bank: Floats,
    offset: NDArray[np.float32],
    k: int,
    exact: Scores,
    scale: float,
    skip_self: bool,
) -> tuple[Integers, Floats]:
    """Return indices and exact scores of the k rows of largest score q.b - offset_b - |q|^2 / 2.

    (The last term, the same for a query's rows, only where `skip_self` asks for distances.)
    `scale` bounds |q| |b|, and with it the error of float32.
    """
    small, rows = bank.astype(np.float32), np.arange(len(bank))
    indices = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k))
    # Rounding of a dot product of D terms, of the inputs and of the offsets, with some room.
    error = 2.0**-23 * (bank.shape[1] + 8) * scale
    for start in range(0, len(queries), CHUNK):
        chunk = queries[start : start + CHUNK]
        rough = chunk.astype(np.float32) @ small.T
        rough -= offset
        if skip_self:
            rough[np.arange(len(chunk)), np.arange(start, start + len(chunk))] = -np.inf
        found, bound = largest(rough, min(k + SPARE, len(bank) - skip_self))
        found.sort(axis=1)
        values = exact(chunk, bank[found])
        order = np.argsort(-values, axis=1, kind="stable")[:, :k]
        found = np.take_along_axis(found, order, axis=1)
        values = np.take_along_axis(values, order, axis=1)
        shift = np.einsum("ij,ij->i", chunk, chunk) / 2 if skip_self else 0.0
        doubtful = values[:, -1] + shift <= bound + error
        for row in np.flatnonzero(doubtful):
            all_values = exact(chunk[row], bank)
            if skip_self:
                all_values[start + row] = -np.inf
            found[row] = np.lexsort((rows, -all_values))[:k]
            values[row] = all_values[found[row]]
        indices[start : start + CHUNK], scores[start : start + CHUNK] = found, values
    return indices, scores


def largest(scores: NDArray[np.float32], count: int) -> tuple[Integers, NDArray[np.float64]]:
    """Return the columns of the `count` largest scores of each row, and a bound on the others.

    Groups of columns are ranked by their largest score first: the `count` best scores lie in the
    `count` best groups.
    """
    rows, columns = scores.shape
    size = columns // GROUPS
    if count >= min(columns, GROUPS) or size < 4:
        return _partitioned(scores, count)
    whole = scores[:, : size * GROUPS].reshape(rows, size, GROUPS)
    groups, bound = _partitioned(whole.max(axis=1), count)
    inside = (groups[:, None, :] + GROUPS * np.arange(size)[:, None]).reshape(rows, -1)
    rest = np.broadcast_to(np.arange(size * GROUPS, columns), (rows, columns - size * GROUPS))
    candidates = np.concatenate([inside, rest], axis=1)
    best, limit = _partitioned(np.take_along_axis(scores, candidates, axis=1), count)
    return np.take_along_axis(candidates, best, axis=1), np.maximum(bound, limit)


def _partitioned(scores: NDArray[np.float32], count: int) -> tuple[Integers, NDArray[np.float64]]:
    """Return the columns of the `count` largest scores and the largest of the others."""
    if count >= scores.shape[1]:
        everything = np.broadcast_to(np.arange(scores.shape[1]), scores.shape).copy()
        return everything, np.full(len(scores), -np.inf)
    order = np.argpartition(-scores, count, axis=1)
    limit = np.take_along_axis(scores, order[:, count : count + 1], axis=1)[:, 0]
    return order[:, :count].astype(np.int64), limit.astype(np.float64)


def _unit(x: Floats) -> Floats:
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    unit: Floats = x / np.where(norms > 0, norms, 1.0)
    return unit
