"""SVHN, the cropped digits (Netzer et al., 2011), as torchvision stores and reads them.

The label of the digit 0 is 0 (10 in the files). The files are MATLAB's, hence scipy.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets import SVHN
from torchvision.datasets.utils import check_integrity

from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import unusable
from stillhouse.data.specs import DatasetSpec

SPLITS = ("train", "test")


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """Return the images as uint8, in the order of the files."""
    return make_dataset(spec, _read(root, "train"), _read(root, "test"))


def fetch(spec: DatasetSpec, root: Path) -> None:
    """Download both files, unless already present."""
    for split in SPLITS:
        SVHN(root, split, download=True)


def check(spec: DatasetSpec, root: Path) -> str:
    """Return which files these are. Raises DataError unless both have their published MD5."""
    for split in SPLITS:
        _, name, md5 = SVHN.split_list[split]
        path = root / name
        if not path.is_file():
            raise unusable(spec.name, root, path, "is missing")
        if not check_integrity(path, md5):
            raise unusable(spec.name, root, path, "is damaged (its MD5 is not the published one)")
    return "the published files"


def sources(spec: DatasetSpec, root: Path) -> list[Path]:
    """Return both files."""
    return [root / SVHN.split_list[split][1] for split in SPLITS]


def _read(root: Path, split: str) -> tuple[Tensor, Tensor]:
    data = SVHN(root, split, download=False)
    return torch.from_numpy(data.data), torch.from_numpy(data.labels)
