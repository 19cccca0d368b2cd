"""Taking a class-proportional part out of a split."""

from __future__ import annotations

import torch

from stillhouse.data.base import Split
from stillhouse.errors import ConfigError
from stillhouse.seeding import generator


def stratified(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Split into (rest, held_out): `count` images held out, of each class its share.

    Shares are rounded by largest remainder, so that they add up to `count` exactly. Both parts
    keep the order of `split`. Raises ConfigError if `count` is larger than the split or smaller
    than the number of its classes.
    """
    labels = split.labels.cpu()
    sizes = torch.bincount(labels).tolist()
    classes = sum(size > 0 for size in sizes)
    if not classes <= count <= len(split):
        raise ConfigError(
            f"cannot take {count} of {len(split)} images in {classes} classes",
            f"choose from {classes} to {len(split)} for train_images or validation",
        )
    chosen = torch.zeros(len(split), dtype=torch.bool)
    for label, share in enumerate(shares(sizes, count)):
        rows = torch.nonzero(labels == label).flatten()
        order = torch.randperm(len(rows), generator=generator("split", seed, label))
        chosen[rows[order[:share]]] = True
    return _part(split, ~chosen), _part(split, chosen)


def shares(sizes: list[int], count: int) -> list[int]:
    """`count` divided in proportion to `sizes`, in whole numbers (largest remainder).

    Of equal remainders the first wins. No share exceeds its size.
    """
    total = sum(sizes)
    parts = [divmod(count * size, total) for size in sizes]
    whole = [part for part, _ in parts]
    by_remainder = sorted(range(len(sizes)), key=lambda index: -parts[index][1])
    for index in by_remainder[: count - sum(whole)]:
        whole[index] += 1
    return whole


def _part(split: Split, chosen: torch.Tensor) -> Split:
    return split.subset(torch.nonzero(chosen).flatten().to(split.labels.device))
