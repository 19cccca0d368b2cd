"""The files are written as Python 2 wrote the published ones: protocol 2, byte strings."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from small_datasets import CIFAR, write_cifar
from stillhouse import data
from stillhouse.errors import DataError


@pytest.fixture(params=["Cifar10", "Cifar100"])
def written(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shrink: Callable[..., Any],
) -> tuple[str, NDArray[np.uint8], list[int], NDArray[np.uint8]]:
    """Small files in the true format, whose checksums torchvision is told."""
    return write_cifar(request.param, tmp_path, monkeypatch, shrink)


def test_loads_files_in_the_published_format(written: Any, tmp_path: Path) -> None:
    name, images, labels, test_images = written
    dataset = data.load(name, tmp_path)
    assert np.array_equal(dataset.train.images.numpy(), images)
    assert np.array_equal(dataset.test.images.numpy(), test_images)
    assert dataset.train.labels.tolist() == labels
    assert dataset.train.ids.tolist() == list(range(len(labels)))


def test_nothing_is_unpickled_before_its_checksum_matches(written: Any, tmp_path: Path) -> None:
    name = written[0]
    reader = CIFAR[name]
    trap = tmp_path / "sprung"
    evil = b"cbuiltins\nopen\n(V" + str(trap).encode() + b"\nVw\ntR."
    for file in (reader.test_list[0][0], reader.meta["filename"]):
        path = tmp_path / reader.base_folder / file
        good = path.read_bytes()
        path.write_bytes(evil)
        with pytest.raises(DataError, match="is damaged") as caught:
            data.load(name, tmp_path)
        assert caught.value.hint == f"stillhouse data fetch {name} --data-root {tmp_path}"
        assert not trap.exists()
        path.write_bytes(good)


def test_missing_file_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="data_batch_1 is missing") as caught:
        data.check("Cifar10", data.data_root())
    assert caught.value.hint == "stillhouse data fetch Cifar10"


def test_fetch_unpacks_an_archive_that_is_here(
    written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, images, *_ = written
    reader, root = CIFAR[name], tmp_path / "fresh"
    root.mkdir()
    with tarfile.open(root / reader.filename, "w:gz") as archive:
        archive.add(tmp_path / reader.base_folder, reader.base_folder)
    monkeypatch.setattr(reader, "tgz_md5", md5((root / reader.filename).read_bytes()).hexdigest())
    data.fetch(name, root)
    assert np.array_equal(data.load(name, root).train.images.numpy(), images)
