"""Batches of a step from a split in memory, computed from counters, without state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from typing import Any

import torch
from torch import Tensor

from stillhouse.data.augmentation import Augmentation
from stillhouse.data.base import Batch, Split
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import ConfigError
from stillhouse.seeding import generator

PLAIN = Augmentation()


class TrainBatches:
    """The training batches of one seed: any step of any epoch, in any order.

    The order depends only on (seed, epoch), augmentation only on (seed, epoch, step), so every run
    of a seed gets the same images. The last incomplete batch of an epoch is dropped, for all runs
    alike; the next epoch drops other images. Raises ConfigError if the split is smaller than one
    batch.
    """

    def __init__(
        self,
        split: Split,
        spec: DatasetSpec,
        seed: int,
        batch_size: int,
        augmentation: Augmentation = PLAIN,
    ) -> None:
        if len(split) < batch_size:
            raise ConfigError(
                f"{spec.name}: {len(split)} training images are fewer than one batch of "
                f"{batch_size}",
                f"set batch_size to {len(split)} or less, or train on more images",
            )
        self.split = split
        self.spec = spec
        self.seed = seed
        self.batch_size = batch_size
        self.augmentation = augmentation
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    @property
    def steps(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.split) // self.batch_size

    def batch(self, epoch: int, step: int) -> Batch:
        """Return the batch of a step, on the split's device."""
        start = step * self.batch_size
        part = self.split.rows(self._order_of(epoch)[start : start + self.batch_size])
        images = self.augmentation.change(part, self.spec.mean, self.seed, epoch, step)
        batch = Batch(normalise(images, self.spec), part.labels, part.ids)
        return self.augmentation.mix(batch, self.seed, epoch, step)

    def facts(self) -> dict[str, Any]:
        """Return everything that determines the batches, for JSON; the images as their SHA-256."""
        digest = sha256()
        self.split.hash_into(digest)
        digest.update(self.split.ids.cpu().contiguous().numpy().data)
        return {
            "dataset": self.spec.name,
            "mean": self.spec.mean,
            "std": self.spec.std,
            "sha256": digest.hexdigest(),
            "seed": self.seed,
            "batch_size": self.batch_size,
            **self.augmentation.facts(),
        }

    def _order_of(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            order = torch.randperm(len(self.split), generator=generator("order", self.seed, epoch))
            self._order = order.to(self.split.labels.device)
            self._epoch = epoch
        return self._order


def plain_batches(split: Split, spec: DatasetSpec, batch_size: int) -> Iterator[Batch]:
    """Yield a split in row order, normalised only; the last batch may be smaller."""
    for start in range(0, len(split), batch_size):
        part = split.rows(slice(start, start + batch_size))
        yield Batch(normalise(part.pixels, spec), part.labels, part.ids)


def normalise(images: Tensor, spec: DatasetSpec) -> Tensor:
    """Return uint8 images (batch, channels, height, width) as float32, minus `mean`, over `std`."""
    mean, std = _per_channel(spec.mean, images.device), _per_channel(spec.std, images.device)
    return images.to(torch.float32).div_(255).sub_(mean).div_(std)


@cache
def _per_channel(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Copy values to the device once; a copy per batch would synchronise with the GPU."""
    return torch.tensor(values, device=device).view(-1, 1, 1)
