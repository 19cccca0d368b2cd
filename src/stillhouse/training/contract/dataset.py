"""Compare a dataset's specification with its images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from stillhouse import data
from stillhouse.data.base import Dataset, Split
from stillhouse.data.specs import DatasetSpec
from stillhouse.plugin import Files
from stillhouse.training.contract.verdict import require

STATISTIC = 1e-3  # of pixels in [0, 1]; published values are rounded, some to three decimals
CHUNK = 10_000


@dataclass(frozen=True)
class DataCase:
    """A dataset and the folder of its files."""

    name: str
    root: Path
    files: Files = ()

    @property
    def spec(self) -> DatasetSpec:
        """Return its facts, known without loading it."""
        return data.spec(self.name, self.files)

    def load(self) -> Dataset:
        """Load it again."""
        return data.load(self.name, self.root, self.files)

    def splits(self) -> Iterator[tuple[str, int, Split]]:
        """Yield each split's name, its specified number of images, and the split."""
        loaded = self.load()
        yield "training", self.spec.train_images, loaded.train
        yield "test", self.spec.test_images, loaded.test


def images_are_as_specified(case: DataCase) -> None:
    """Images are uint8, with the specified number and shape."""
    spec = case.spec
    for name, count, split in case.splits():
        expected = (count, spec.channels, spec.size, spec.size)
        found = tuple(split.images.shape)
        require(
            found == expected,
            f"the {name} images are {found}, but the specification has {expected}",
        )
        kind = str(split.images.dtype).removeprefix("torch.")
        require(kind == "uint8", f"the {name} images are {kind}, not uint8 from 0 to 255")
        bright = int(split.images.max())
        require(bright > 1, f"no {name} pixel is above {bright}", "scale the images to 0..255")


def labels_are_as_specified(case: DataCase) -> None:
    """Labels are int64 from 0 to classes - 1, one per image, with every class in training."""
    classes, commonest = case.spec.classes, case.spec.commonest
    for name, count, split in case.splits():
        labels = split.labels
        require(tuple(labels.shape) == (count,), f"the {name} labels are {tuple(labels.shape)}")
        require(labels.dtype == torch.int64, f"the {name} labels are {labels.dtype}, not int64")
        low, high = int(labels.min()), int(labels.max())
        require(
            low >= 0 and high < classes,
            f"the {name} labels go from {low} to {high}",
            f"{classes} classes are numbered 0 to {classes - 1}",
        )
    loaded = case.load()
    absent = sorted({*range(classes)} - {*loaded.train.labels.tolist()})
    require(not absent, f"no training image is of class {absent[:10]}")
    most = int(loaded.test.labels.bincount().max())
    require(
        most == commonest, f"the commonest class has {most} test images, not commonest={commonest}"
    )


def ids_number_the_rows(case: DataCase) -> None:
    """Ids are 0, 1, 2 ... in both splits, so an image can be found again."""
    for name, count, split in case.splits():
        numbered = torch.equal(split.ids, torch.arange(count))
        require(numbered, f"the {name} ids are not 0 to {count - 1}", "use make_dataset")


def loading_twice_is_equal(case: DataCase) -> None:
    """Two loads give the same rows in the same order."""
    same = case.load().content_hash() == case.load().content_hash()
    require(same, "two loads differ", "read files in sorted order and use no random numbers")


def mean_and_std_are_those_of_the_training_images(case: DataCase) -> None:
    """Mean and std are per channel, of pixels scaled to [0, 1]."""
    spec, images = case.spec, case.load().train.images
    sums = torch.zeros(2, spec.channels, dtype=torch.float64)
    for part in torch.split(images, CHUNK):
        pixels = part.double() / 255
        sums += torch.stack([pixels.sum(dim=(0, 2, 3)), pixels.square().sum(dim=(0, 2, 3))])
    mean, square = sums / (len(images) * spec.size**2)
    measured = {"mean": mean, "std": (square - mean.square()).sqrt()}
    for name, values in measured.items():
        said, found = getattr(spec, name), tuple(round(v, 4) for v in values.tolist())
        near = all(abs(a - b) <= STATISTIC for a, b in zip(said, found, strict=True))
        require(near, f"{name} is specified as {said}, the images have {found}")


CHECKS: dict[str, Callable[[DataCase], None]] = {
    "images are as specified": images_are_as_specified,
    "labels are as specified": labels_are_as_specified,
    "ids number the rows": ids_number_the_rows,
    "loading twice is equal": loading_twice_is_equal,
    "mean and std are the training images'": mean_and_std_are_those_of_the_training_images,
}
