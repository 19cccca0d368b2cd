"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009), in the binary version if its folder is present.

Otherwise in the Python version, which `fetch` downloads and torchvision reads: pickles. A pickle is
unpickled only after its published checksum matched, from the same bytes, and may contain only NumPy
arrays.
"""

from __future__ import annotations

import io
import pickle
import warnings
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity, download_url

from stillhouse.data import cifar_binary
from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import unusable
from stillhouse.data.specs import DatasetSpec
from stillhouse.data.unpack import unpack

READERS = {"Cifar10": CIFAR10, "Cifar100": CIFAR100}
DAMAGED = "is damaged (its MD5 is not the published one)"
RECONSTRUCT = np.empty(0).__reduce__()[0]
ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """Return the images as uint8, in the order of the files."""
    if cifar_binary.present(spec, root):
        return cifar_binary.load(spec, root)
    reader = READERS[spec.name]
    return make_dataset(
        spec, _read(spec, root, reader.train_list), _read(spec, root, reader.test_list)
    )


def fetch(spec: DatasetSpec, root: Path) -> None:
    """Download and unpack the archive of pickles, unless either version is complete."""
    if cifar_binary.present(spec, root):
        return
    reader = READERS[spec.name]
    if any(not check_integrity(root / reader.base_folder / n, m) for n, m in _files(spec)):
        download_url(reader.url, root, reader.filename, reader.tgz_md5)
        unpack(root / reader.filename, reader.base_folder)


def check(spec: DatasetSpec, root: Path) -> str:
    """Return which files these are. Raises DataError unless they are the published ones."""
    if cifar_binary.present(spec, root):
        return cifar_binary.check(spec, root)
    for name, expected in _files(spec):
        path = root / READERS[spec.name].base_folder / name
        if not path.is_file():
            raise unusable(spec.name, root, path, "is missing")
        if not check_integrity(path, expected):
            raise unusable(spec.name, root, path, DAMAGED)
    return "the published files (Python version)"


def sources(spec: DatasetSpec, root: Path) -> list[Path]:
    """Return the files that `load` reads and `check` checks."""
    if cifar_binary.present(spec, root):
        return cifar_binary.sources(spec, root)
    return [root / READERS[spec.name].base_folder / name for name, _ in _files(spec)]


def _files(spec: DatasetSpec) -> list[tuple[str, str]]:
    reader = READERS[spec.name]
    meta = (reader.meta["filename"], reader.meta["md5"])
    return [*map(tuple, reader.train_list), *map(tuple, reader.test_list), meta]


def _read(spec: DatasetSpec, root: Path, files: list[tuple[str, str]]) -> tuple[Tensor, Tensor]:
    images, labels = [], []
    for name, expected in files:
        path = root / READERS[spec.name].base_folder / name
        content = path.read_bytes()
        if md5(content, usedforsecurity=False).hexdigest() != expected:
            raise unusable(spec.name, root, path, DAMAGED)
        try:
            batch = _Unpickler(io.BytesIO(content), encoding="latin1").load()
        except pickle.UnpicklingError as error:
            raise unusable(spec.name, root, path, f"is not loaded ({error})") from error
        images.append(torch.from_numpy(batch["data"]).view(-1, 3, spec.size, spec.size))
        labels += batch["labels" if "labels" in batch else "fine_labels"]
    return torch.cat(images), torch.tensor(labels)


class _Unpickler(pickle.Unpickler):
    """Unpickle NumPy arrays and plain values only."""

    def load(self) -> Any:
        with warnings.catch_warnings():
            # The pickles of 2009 write NumPy's `align` as 0; NumPy 2.4.0 to 2.4.4 warn.
            warnings.filterwarnings("ignore", message=r"dtype\(\): align should be passed")
            return super().load()

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it contains {module}.{name}, expected NumPy arrays only")
        return ALLOWED[module, name]
