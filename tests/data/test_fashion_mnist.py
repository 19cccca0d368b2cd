from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torchvision.datasets import FashionMNIST

from small_datasets import COUNTS, write_fashion
from stillhouse import data
from stillhouse.data import fashion_mnist
from stillhouse.errors import DataError


def expect(root: Path, images: dict[str, NDArray[np.uint8]]) -> None:
    dataset = data.load("FashionMNIST", root)
    assert np.array_equal(dataset.train.images[:, 0].numpy(), images["train"])
    assert np.array_equal(dataset.test.images[:, 0].numpy(), images["t10k"])
    assert dataset.train.labels.tolist() == list(range(7))


def test_reads_debians_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink: Callable[..., Any]
) -> None:
    shrink("FashionMNIST", *COUNTS.values())
    debian = tmp_path / "debian"
    images = write_fashion(debian)
    monkeypatch.setattr(fashion_mnist, "DEBIAN", debian)
    data.fetch("FashionMNIST", tmp_path / "root")
    expect(tmp_path / "root", images)


def test_reads_downloaded_files_after_their_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink: Callable[..., Any]
) -> None:
    shrink("FashionMNIST", *COUNTS.values())
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "none")
    folder = tmp_path / "FashionMNIST" / "raw"
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte.gz is missing") as caught:
        data.load("FashionMNIST", tmp_path)
    assert caught.value.hint.startswith("stillhouse data fetch FashionMNIST")
    images = write_fashion(folder)
    with pytest.raises(DataError, match="is damaged"):
        data.load("FashionMNIST", tmp_path)
    sums = [
        (name, md5((folder / name).read_bytes()).hexdigest()) for name, _ in FashionMNIST.resources
    ]
    monkeypatch.setattr(FashionMNIST, "resources", sums)
    data.fetch("FashionMNIST", tmp_path)
    expect(tmp_path, images)


def test_a_dataset_of_another_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fashion(tmp_path / "debian")
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "debian")
    with pytest.raises(
        DataError, match=r"\(7, 1, 28, 28\) with labels \(7,\), expected \(60000, 1,"
    ):
        data.load("FashionMNIST", tmp_path)


def idx(shape: tuple[int, ...], kind: int = 8, values: int | None = None) -> bytes:
    count = int(np.prod(shape)) if values is None else values
    return struct.pack(f">HBB{len(shape)}I", 0, kind, len(shape), *shape) + bytes(count)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        idx((2, 3), values=5),
        idx((2, 3), values=7),
        idx((2, 3), kind=9),
        idx((6,)),
        b"\0\0\x08\x03\0\0",
    ],
)
def test_damaged_idx_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(DataError, match="not an IDX file"):
        fashion_mnist.read_idx(path, axes=2)


def test_torn_gzip_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gz"
    whole = gzip.compress(idx((2, 3)))
    path.write_bytes(whole)
    assert fashion_mnist.read_idx(path, axes=2).shape == (2, 3)
    for damaged in (whole[:-9], b"plain", whole[:-8] + b"\xff" * 8):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="not readable as gzip"):
            fashion_mnist.read_idx(path, axes=2)
