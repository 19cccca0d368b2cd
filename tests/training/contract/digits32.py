"""Ten images of scikit-learn's digits to train on and ten to test, each pixel drawn 4 x 4."""

from pathlib import Path

import torch

from stillhouse import data
from stillhouse.data.base import Dataset, Split, make_dataset

SPEC = data.DatasetSpec(
    name="digits32",
    label="Digits at 32 pixels",
    classes=10,
    channels=1,
    size=32,
    train_images=10,
    test_images=10,
    commonest=1,
    mean=(0.3028,),
    std=(0.3765,),
)


def load(spec: data.DatasetSpec, root: Path) -> Dataset:
    """The first image of each class, of either split."""
    digits = data.load("Digits", root)
    return make_dataset(spec, _large(digits.train), _large(digits.test))


def _large(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    first = torch.tensor([int((split.labels == label).nonzero()[0]) for label in range(10)])
    images = split.images[first].repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return images, split.labels[first]
