"""Images in memory: what every dataset looks like once loaded."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from stillhouse.data.specs import DatasetSpec


@dataclass(frozen=True)
class Split:
    """`images` (n, channels, size, size) uint8, `labels` (n,) int64, `ids` (n,) int64.

    `ids` are row numbers in the dataset's own order and survive sub-setting.
    """

    images: Tensor
    labels: Tensor
    ids: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, rows: Tensor) -> Split:
        """The rows named, in that order."""
        return Split(self.images[rows], self.labels[rows], self.ids[rows])

    def to(self, device: torch.device) -> Split:
        """The same split on a device."""
        return Split(self.images.to(device), self.labels.to(device), self.ids.to(device))


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory, in its published order."""

    spec: DatasetSpec
    train: Split
    test: Split

    def content_hash(self) -> str:
        """SHA-256 over all images and labels, train before test."""
        digest = sha256()
        for split in (self.train, self.test):
            digest.update(split.images.contiguous().numpy().tobytes())
            digest.update(split.labels.contiguous().numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Batch:
    """What both networks see in one step.

    `images` (batch, channels, size, size) float32, normalised and augmented; `labels` (batch,)
    int64; `ids` (batch,) int64, row numbers in the training set.
    """

    images: Tensor
    labels: Tensor
    ids: Tensor
