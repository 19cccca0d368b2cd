from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from small_datasets import CLASSES, TOP, write_tiny
from stillhouse import data
from stillhouse.data import tiny_imagenet
from stillhouse.errors import DataError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink: Callable[..., Any]) -> Path:
    """A data folder that holds the archive only."""
    return write_tiny(tmp_path, monkeypatch, shrink)


def test_fetch_unpacks_and_load_regroups(root: Path) -> None:
    with pytest.raises(DataError, match=r"wnids.txt is missing"):
        data.check("TinyImageNet", root)
    data.fetch("TinyImageNet", root)
    dataset = data.load("TinyImageNet", root)
    assert dataset.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert dataset.test.labels.tolist() == [0, 1, 1, 2]
    # Sorted: n01443537 (second in wnids.txt), n02124075 (first), n04067472 (third).
    coloured = dataset.train.images[::2].float().mean((2, 3))
    assert np.allclose(coloured, [[40, 100, 200], [0, 100, 200], [80, 100, 200]], atol=3)
    grey = dataset.train.images[1::2].float().mean((2, 3))
    assert np.allclose(grey, [[80] * 3, [0] * 3, [160] * 3], atol=2)
    # By class, then by file: val_2, val_1, val_3, val_0.
    assert np.allclose(dataset.test.images.float().mean((1, 2, 3)), [120, 60, 180, 0], atol=2)
    assert not [path for path in root.iterdir() if path.name.startswith(".")]


def test_second_load_reads_the_decoded_images(root: Path) -> None:
    data.fetch("TinyImageNet", root)
    first = data.load("TinyImageNet", root).content_hash()
    shutil.rmtree(root / TOP)
    (root / tiny_imagenet.ARCHIVE).unlink()
    data.fetch("TinyImageNet", root)
    assert data.load("TinyImageNet", root).content_hash() == first
    decoded = root / f"{TOP}.safetensors"
    decoded.write_bytes(decoded.read_bytes()[:-5])
    with pytest.raises(DataError, match="is damaged"):
        data.load("TinyImageNet", root)


def test_an_incomplete_folder_is_never_kept_as_decoded(root: Path) -> None:
    data.fetch("TinyImageNet", root)
    next((root / TOP).glob("train/*/images/*_1.JPEG")).unlink()
    with pytest.raises(DataError, match=r"\(5, 3, 64, 64\).* expected \(6, 3, 64, 64\)"):
        data.load("TinyImageNet", root)
    assert not (root / f"{TOP}.safetensors").exists()


def test_a_damaged_image_is_named(root: Path) -> None:
    data.fetch("TinyImageNet", root)
    path = root / TOP / "val" / "images" / "val_1.JPEG"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataError, match=r"val_1.JPEG is not a readable image"):
        data.load("TinyImageNet", root)


def test_a_missing_class_folder_is_mended_by_fetch(root: Path) -> None:
    data.fetch("TinyImageNet", root)
    shutil.rmtree(root / TOP / "train" / CLASSES[0])
    with pytest.raises(DataError, match=f"{CLASSES[0]}{os.sep}images is missing"):
        data.check("TinyImageNet", root)
    data.fetch("TinyImageNet", root)
    assert len(data.load("TinyImageNet", root).train) == 6


def test_another_archive_is_not_unpacked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny_imagenet, "MD5", "0" * 32)
    monkeypatch.setattr(tiny_imagenet, "URL", (root / "nowhere.zip").as_uri())
    with pytest.raises(DataError, match="could not be fetched"):
        data.fetch("TinyImageNet", root)
    assert not (root / TOP).exists()
