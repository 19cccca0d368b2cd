"""Fashion-MNIST (Xiao et al., 2017) from Debian's package dataset-fashion-mnist, else downloaded.

Both hold the same four gzipped IDX files. Debian compresses them again, so the published MD5 values
are those of the downloaded files; gzip's own checksum protects both.
"""

from __future__ import annotations

import gzip
import zlib
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchvision.datasets import FashionMNIST
from torchvision.datasets.utils import check_integrity, download_url

from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import unusable
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import DataError

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
UINT8 = 8
MAX_BYTES = 1 << 26


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """Return the images as uint8, in the order of the files."""
    folder = _debian() or _downloaded(root)
    return make_dataset(spec, _read(folder, "train"), _read(folder, "t10k"))


def fetch(spec: DatasetSpec, root: Path) -> None:
    """Download the files to torchvision's folder, unless Debian's are installed."""
    if _debian():
        return
    for name, md5 in FashionMNIST.resources:
        download_url(FashionMNIST.mirrors[0] + name, _downloaded(root), name, md5)


def check(spec: DatasetSpec, root: Path) -> str:
    """Return which files these are. Raises DataError unless Debian's or the published ones."""
    if _debian():
        return f"Debian's files in {DEBIAN}"
    for name, md5 in FashionMNIST.resources:
        path = _downloaded(root) / name
        if not path.is_file():
            raise unusable(spec.name, root, path, "is missing")
        if not check_integrity(path, md5):
            raise unusable(spec.name, root, path, "is damaged (its MD5 is not the published one)")
    return "the published files"


def sources(spec: DatasetSpec, root: Path) -> list[Path]:
    """Return the files that `load` reads."""
    folder = _debian() or _downloaded(root)
    return [folder / name for name, _ in FashionMNIST.resources]


def read_idx(path: Path, axes: int) -> Tensor:
    """Return the bytes in a gzipped IDX file with this number of axes. Raises DataError if it is
    damaged.

    IDX: two zero bytes, the type, the number of axes, big-endian sizes, then the values.
    """
    try:
        with gzip.open(path) as file:
            data = file.read(MAX_BYTES)
            if file.read(1):
                raise DataError(f"{path}: more than {MAX_BYTES:,} bytes", "restore the file")
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not readable as gzip ({error})", "restore the file") from error
    start = 4 + 4 * axes
    sizes = [int.from_bytes(data[at : at + 4], "big") for at in range(4, start, 4)]
    if data[:4] != bytes([0, 0, UINT8, axes]) or len(data) != start + prod(sizes):
        raise DataError(f"{path}: not an IDX file of bytes, or truncated", "restore the file")
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(sizes).copy())


def _read(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz", axes=3)
    return images.unsqueeze(1), read_idx(folder / f"{part}-labels-idx1-ubyte.gz", axes=1)


def _debian() -> Path | None:
    found = all((DEBIAN / name).is_file() for name, _ in FashionMNIST.resources)
    return DEBIAN if found else None


def _downloaded(root: Path) -> Path:
    return root / "FashionMNIST" / "raw"
