"""Many pairs at once: one product of stacked components gives every linear measure of every pair.

A pair from here equals `Pair(a, b)`; only where the products of its components were computed
differs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stillhouse.represent.measures.inputs import Floats, Pair, Representation


def compare(
    a: Sequence[Representation], b: Sequence[Representation]
) -> Iterator[tuple[int, int, Pair]]:
    """Yield (i, j, pair of a[i] and b[j]) for every i and j.

    Give the layers of one run as `a` and those of all its references as `b`: the cost is one
    matrix product of (sum of ranks of a) x rows x (sum of ranks of b).
    """
    usable_a = [not item.problem for item in a]
    usable_b = [not item.problem for item in b]
    left = _stacked([item for item, usable in zip(a, usable_a, strict=True) if usable])
    right = _stacked([item for item, usable in zip(b, usable_b, strict=True) if usable])
    even = odd = None
    if left is not None and right is not None and len(left) == len(right):
        even, odd = left[::2].T @ right[::2], left[1::2].T @ right[1::2]
    row = 0
    for i, first in enumerate(a):
        column, height = 0, first.components[1].size if usable_a[i] else 0
        for j, second in enumerate(b):
            width = second.components[1].size if usable_b[j] else 0
            if even is None or odd is None or not (height and width):
                yield i, j, Pair(first, second)
            else:
                block = np.s_[row : row + height, column : column + width]
                yield i, j, Pair(first, second, (even[block], odd[block]))
            column += width
        row += height


def _stacked(items: Sequence[Representation]) -> Floats | None:
    return np.concatenate([item.components[0] for item in items], axis=1) if items else None
