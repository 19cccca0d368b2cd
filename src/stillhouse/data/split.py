"""Take a stratified subset of a split."""

from __future__ import annotations

from math import ceil

import torch

from stillhouse.data.base import Split
from stillhouse.errors import ConfigError
from stillhouse.seeding import generator


def stratified(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Split into (rest, held_out) with `count` images held out, stratified by class.

    Shares are rounded by largest remainder, so they sum to `count`. Both parts keep the order of
    `split`. Raises ConfigError if `count` is larger than the split, or so small that a class would
    have no image held out.
    """
    labels = split.labels.cpu()
    sizes = torch.bincount(labels).tolist()
    classes = sum(size > 0 for size in sizes)
    if not classes <= count <= len(split):
        raise ConfigError(
            f"cannot take {count} of {len(split)} images in {classes} classes",
            f"choose from {classes} to {len(split)} for train_images or validation",
        )
    divided = shares(sizes, count)
    for label, (size, share) in enumerate(zip(sizes, divided, strict=True)):
        if size and not share:
            enough = ceil(len(split) / min(size for size in sizes if size))
            raise ConfigError(
                f"{count} of {len(split)} stratified images would include none of the "
                f"{size} of class {label}",
                f"choose at least {enough} for train_images or validation",
            )
    chosen = torch.zeros(len(split), dtype=torch.bool)
    for label, share in enumerate(divided):
        rows = torch.nonzero(labels == label).flatten()
        order = torch.randperm(len(rows), generator=generator("split", seed, label))
        chosen[rows[order[:share]]] = True
    return _part(split, ~chosen), _part(split, chosen)


def hold_out(split: Split, count: int, seed: int) -> tuple[Split, Split]:
    """Split into (training, validation) as `stratified` does.

    Raises ConfigError also if a class would have no image left to train on.
    """
    rest, held_out = stratified(split, count, seed)
    if lost := sorted({*held_out.labels.tolist()} - {*rest.labels.tolist()}):
        raise ConfigError(
            f"{count} of {len(split)} images held out for validation leave none of class "
            f"{lost[0]} to train on",
            "choose a smaller validation",
        )
    return rest, held_out


def shares(sizes: list[int], count: int) -> list[int]:
    """Divide `count` in proportion to `sizes`, in whole numbers (largest remainder).

    With equal remainders the first wins. No share exceeds its size.
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
