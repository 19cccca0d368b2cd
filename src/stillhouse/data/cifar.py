"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009), as torchvision stores and reads them.

The files are pickles: torchvision compares every checksum before it unpickles one.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity

from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import unusable
from stillhouse.data.specs import DatasetSpec

READERS = {"Cifar10": CIFAR10, "Cifar100": CIFAR100}


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """The images as uint8, in the order of the files."""
    return make_dataset(spec, _read(spec, root, train=True), _read(spec, root, train=False))


def fetch(spec: DatasetSpec, root: Path) -> None:
    """Download and unpack the archive, unless all files are there."""
    _open(spec, root, train=True, download=True)


def check(spec: DatasetSpec, root: Path) -> None:
    """Raise DataError unless every file has its published MD5."""
    reader = READERS[spec.name]
    files = [*reader.train_list, *reader.test_list, (reader.meta["filename"], reader.meta["md5"])]
    for name, md5 in files:
        path = root / reader.base_folder / name
        if not path.is_file():
            raise unusable(spec.name, root, path, "is missing")
        if not check_integrity(path, md5):
            raise unusable(spec.name, root, path, "is damaged (its MD5 is not the published one)")


def _read(spec: DatasetSpec, root: Path, train: bool) -> tuple[Tensor, Tensor]:
    data = _open(spec, root, train, download=False)
    return torch.from_numpy(data.data).permute(0, 3, 1, 2), torch.tensor(data.targets)


def _open(spec: DatasetSpec, root: Path, train: bool, download: bool) -> CIFAR10:
    with warnings.catch_warnings():
        # The pickles of 2009 write NumPy's `align` as 0; NumPy 2.4.0 to 2.4.4 complain about that.
        warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
        return READERS[spec.name](root, train=train, download=download)
