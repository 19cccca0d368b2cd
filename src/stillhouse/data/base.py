"""Images in memory: the form of every loaded dataset."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from stillhouse.data.pixels import LEVELS, moments
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import DataError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

HASHED_AT_ONCE = 4096  # images


@dataclass(frozen=True)
class Split:
    """Labels (n,) int64, ids (n,) int64, and the images as uint8 in `pixels`.

    `ids` are row numbers in the dataset's order and do not change in a subset. If `train_images` or
    `validation` took a part of the training set, they are rows of the whole set, from 0 to
    `spec.train_images` - 1, with gaps. Training and test images are numbered separately. `pixels`
    (m, channels, size, size) may hold more images than the split: then `chosen` (n,) are the rows
    of the split, and a subset of mapped images needs no memory.
    """

    pixels: Tensor
    labels: Tensor
    ids: Tensor
    chosen: Tensor | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def images(self) -> Tensor:
        """Return the images (n, channels, size, size) uint8; a subset of `pixels` is copied."""
        return self.pixels if self.chosen is None else self.pixels[self.chosen]

    def rows(self, rows: Tensor | slice) -> Split:
        """Return these rows, in this order, with their images copied."""
        pixels = self.pixels[rows if self.chosen is None else self.chosen[rows]]
        return Split(pixels, self.labels[rows], self.ids[rows])

    def subset(self, rows: Tensor) -> Split:
        """Return the same as `rows`, without copying images."""
        chosen = rows if self.chosen is None else self.chosen[rows]
        return Split(self.pixels, self.labels[rows], self.ids[rows], chosen)

    def to(self, device: torch.device) -> Split:
        """Return the same split on a device."""
        if device == self.pixels.device:
            return self
        return Split(self.images.to(device), self.labels.to(device), self.ids.to(device))

    def hash_into(self, digest: Hash) -> None:
        """Update a hash with all images, then the labels, without a copy of the whole split."""
        for start in range(0, len(self), HASHED_AT_ONCE):
            part = self.rows(slice(start, start + HASHED_AT_ONCE))
            digest.update(part.pixels.cpu().contiguous().numpy().data)
        digest.update(self.labels.cpu().contiguous().numpy().data)


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory, in its published order; `note` is information for the user."""

    spec: DatasetSpec
    train: Split
    test: Split
    note: str = ""
    # Not copied by `dataclasses.replace`, which may set other images.
    _known_hash: str = field(default="", init=False, repr=False, compare=False)

    def content_hash(self) -> str:
        """Return the SHA-256 over all images and labels, train before test."""
        if self._known_hash:
            return self._known_hash
        digest = sha256()
        for split in (self.train, self.test):
            split.hash_into(digest)
        return digest.hexdigest()

    def with_hash(self, content_hash: str) -> Dataset:
        """Return the same dataset with a known content hash."""
        known = replace(self)
        object.__setattr__(known, "_known_hash", content_hash)
        return known

    def with_note(self, note: str) -> Dataset:
        """Return the same dataset with a note."""
        return replace(self, note=note).with_hash(self._known_hash)

    def fingerprint(self) -> str:
        """Return the SHA-256 of the sorted SHA-256 of each image (label byte, then pixels), train
        before test.

        It is equal for the same images in another order.
        """
        digest = sha256()
        for split in (self.train, self.test):
            rows = zip(split.labels.tolist(), split.images.numpy(), strict=True)
            hashes = (sha256(bytes([label]) + pixels.tobytes()).digest() for label, pixels in rows)
            digest.update(b"".join(sorted(hashes)))
        return digest.hexdigest()


@dataclass(frozen=True)
class Batch:
    """The images of one step, for both networks.

    `images` (batch, channels, size, size) float32, normalised and augmented; `labels` (batch,)
    int64; `ids` (batch,) int64, rows of the whole training set also if only a part is trained on
    (see `Split`).

    With mixup or CutMix each image is mixed of two: `shares` (batch,) float32 is the part of the
    first one, which `labels` and `ids` belong to; `partners` (batch,) int64 are the labels of the
    other one.
    """

    images: Tensor
    labels: Tensor
    ids: Tensor
    partners: Tensor | None = None
    shares: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """Return the tensors that it has."""
        every = (self.images, self.labels, self.ids, self.partners, self.shares)
        return [value for value in every if value is not None]


def make_dataset(
    spec: DatasetSpec, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> Dataset:
    """Make a dataset from (images, labels) pairs; facts that `spec` leaves out are measured.

    Raises DataError if the images contradict `spec`.
    """
    if spec.missing:
        spec = _complete(spec, train, test)
    return Dataset(
        spec,
        _make_split(spec, "training", spec.train_images, *train),
        _make_split(spec, "test", spec.test_images, *test),
    )


def _complete(
    spec: DatasetSpec, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]
) -> DatasetSpec:
    """Return the specification with the facts of these images where it has none."""
    images, labels = train
    if images.ndim != 4 or images.dtype != torch.uint8 or not len(images) or not len(test[1]):
        raise DataError(
            f"{spec.name}: the training images are {tuple(images.shape)} {images.dtype}, "
            "expected uint8 (images, channels, size, size), and test images",
        )
    counted = torch.zeros(images.shape[1], LEVELS, dtype=torch.int64)
    for part in torch.split(images, HASHED_AT_ONCE):
        for channel, values in enumerate(part.unbind(1)):
            counted[channel] += torch.bincount(values.flatten(), minlength=LEVELS)
    mean, std = moments(counted.numpy())
    measured: dict[str, Any] = {
        "classes": int(labels.max()) + 1,
        "channels": images.shape[1],
        "size": images.shape[2],
        "train_images": len(images),
        "test_images": len(test[1]),
        "commonest": int(test[1].to(torch.int64).bincount().max()),
        "mean": tuple(mean),
        "std": tuple(std),
    }
    return replace(spec, **{name: measured[name] for name in spec.missing})


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
