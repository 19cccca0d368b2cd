"""Digits: the 1,797 images of 8 x 8 pixels that come with scikit-learn (from UCI's optdigits).

There is no published split: within each class every fifth image, in the file's order, is a test
image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.specs import DatasetSpec

WHITE = 16
TEST_EVERY = 5


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """Return the images as uint8: the file's 0..16 become 0..255."""
    data = load_digits()
    pixels = np.rint(data.images * (255 / WHITE)).astype(np.uint8)
    images, labels = torch.from_numpy(pixels).unsqueeze(1), torch.from_numpy(data.target)
    test = torch.from_numpy(rank_in_class(data.target) % TEST_EVERY == TEST_EVERY - 1)
    return make_dataset(spec, (images[~test], labels[~test]), (images[test], labels[test]))


def fetch(spec: DatasetSpec, root: Path) -> None:
    """Do nothing: the images come with the package."""


def check(spec: DatasetSpec, root: Path) -> str:
    """Check nothing except the package."""
    return "included in scikit-learn"


def rank_in_class(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row how many earlier rows have the same class."""
    ranks = np.empty_like(labels)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        ranks[rows] = np.arange(len(rows))
    return ranks
