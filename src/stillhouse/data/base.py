"""Images in memory: what every dataset looks like once loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import DataError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

HASHED_AT_ONCE = 4096  # images


@dataclass(frozen=True)
class Split:
    """`labels` (n,) int64, `ids` (n,) int64 and, in `pixels`, the images as uint8.

    `ids` are row numbers in the dataset's own order and survive sub-setting: of a training set
    from which `train_images` or `validation` took a part they are rows of the whole set, from 0 to
    `spec.train_images` - 1, with gaps. Training and test images are numbered separately. `pixels`
    (m, channels, size, size) may hold more images than the split: then `chosen` (n,) are the rows
    that count, and a subset of mapped images takes no memory.
    """

    pixels: Tensor
    labels: Tensor
    ids: Tensor
    chosen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> Tensor:
        """The images (n, channels, size, size) uint8: copied if they are a subset of `pixels`."""
        return self.pixels if self.chosen is None else self.pixels[self.chosen]

    def rows(self, rows: Tensor | slice) -> Split:
        """The rows named, in that order, with their images side by side."""
        pixels = self.pixels[rows if self.chosen is None else self.chosen[rows]]
        return Split(pixels, self.labels[rows], self.ids[rows])

    def subset(self, rows: Tensor) -> Split:
        """The same as `rows`, without copying images."""
        chosen = rows if self.chosen is None else self.chosen[rows]
        return Split(self.pixels, self.labels[rows], self.ids[rows], chosen)

    def to(self, device: torch.device) -> Split:
        """The same split on a device."""
        if device == self.pixels.device:
            return self
        return Split(self.images.to(device), self.labels.to(device), self.ids.to(device))

    def hash_into(self, digest: Hash) -> None:
        """Feed all images, then the labels, to a hash, without a copy of them all."""
        for start in range(0, len(self), HASHED_AT_ONCE):
            part = self.rows(slice(start, start + HASHED_AT_ONCE))
            digest.update(part.pixels.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().contiguous().numpy().data)


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory, in its published order; `note` is what its user should know of it."""

    spec: DatasetSpec
    train: Split
    test: Split
    note: str = ""
    # Not taken over by `dataclasses.replace`, which may give other images.
    _known_hash: str = field(default="", init=False, repr=False, compare=False)

    def content_hash(self) -> str:
        """SHA-256 over all images and labels, train before test."""
        if self._known_hash:
            return self._known_hash
        digest = sha256()
        for split in (self.train, self.test):
            split.hash_into(digest)
        return digest.hexdigest()

    def known_as(self, content_hash: str) -> Dataset:
        """The same dataset, whose content hash is known and need not be computed."""
        known = replace(self)
        object.__setattr__(known, "_known_hash", content_hash)
        return known

    def noted(self, note: str) -> Dataset:
        """The same dataset with a note."""
        return replace(self, note=note).known_as(self._known_hash)

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
