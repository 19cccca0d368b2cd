"""Images in memory: what every dataset looks like once loaded."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor

from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import DataError


@dataclass(frozen=True)
class Split:
    """`images` (n, channels, size, size) uint8, `labels` (n,) int64, `ids` (n,) int64.

    `ids` are row numbers in the dataset's own order and survive sub-setting: of a training set
    from which `train_images` or `validation` took a part they are rows of the whole set, from 0 to
    `spec.train_images` - 1, with gaps. Training and test images are numbered separately.
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

    def fingerprint(self) -> str:
        """SHA-256 of the sorted SHA-256 of each image (label byte, then pixels), train before test.

        Equal for the same images in another order.
        """
        digest = sha256()
        for split in (self.train, self.test):
            rows = zip(split.labels.tolist(), split.images.numpy(), strict=True)
            hashes = (sha256(bytes([label]) + pixels.tobytes()).digest() for label, pixels in rows)
            digest.update(b"".join(sorted(hashes)))
        return digest.hexdigest()


@dataclass(frozen=True)
class Batch:
    """What both networks see in one step.

    `images` (batch, channels, size, size) float32, normalised and augmented; `labels` (batch,)
    int64; `ids` (batch,) int64, rows of the whole training set whatever part of it is trained on
    (see `Split`).
    """

    images: Tensor
    labels: Tensor
    ids: Tensor


def make_dataset(
    spec: DatasetSpec, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> Dataset:
    """A dataset from (images, labels) pairs. Raises DataError if they are not what `spec` says."""
    return Dataset(
        spec,
        _make_split(spec, "training", spec.train_images, *train),
        _make_split(spec, "test", spec.test_images, *test),
    )


def _make_split(spec: DatasetSpec, kind: str, count: int, images: Tensor, labels: Tensor) -> Split:
    expected = (count, spec.channels, spec.size, spec.size)
    cure = f"remove its files and repeat `stillhouse data fetch {spec.name}`"
    if (*images.shape,) != expected or (*labels.shape,) != (count,):
        raise DataError(
            f"{spec.name}: the {kind} images are {tuple(images.shape)} with labels "
            f"{tuple(labels.shape)}, expected {expected}",
            cure,
        )
    if images.dtype != torch.uint8 or labels.is_floating_point() or labels.is_complex():
        raise DataError(
            f"{spec.name}: the {kind} images are {images.dtype} with labels {labels.dtype}, "
            "expected uint8 with whole numbers",
            cure,
        )
    if not 0 <= int(labels.min()) <= int(labels.max()) < spec.classes:
        raise DataError(
            f"{spec.name}: the {kind} labels go from {int(labels.min())} to {int(labels.max())}, "
            f"expected 0 to {spec.classes - 1}",
            cure,
        )
    return Split(images.contiguous(), labels.to(torch.int64), torch.arange(count))
