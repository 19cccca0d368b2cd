from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from stillhouse import data
from stillhouse.errors import DataError


def test_holds_scikit_learns_images_once_each() -> None:
    dataset = data.load("Digits", Path())
    published = load_digits()
    pixels = np.concatenate([dataset.train.images.numpy(), dataset.test.images.numpy()])
    labels = np.concatenate([dataset.train.labels.numpy(), dataset.test.labels.numpy()])
    back = np.rint(pixels[:, 0] * (16 / 255)).astype(int)

    def rows(images: np.ndarray, labels: np.ndarray) -> list[bytes]:
        return sorted(
            image.tobytes() + bytes([label]) for image, label in zip(images, labels, strict=True)
        )

    assert rows(back, labels) == rows(published.images.astype(int), published.target)
    assert pixels.min() == 0
    assert pixels.max() == 255


def test_split_is_stratified() -> None:
    dataset = data.load("Digits", Path())
    for label in range(10):
        held_out = int((dataset.test.labels == label).sum())
        size = held_out + int((dataset.train.labels == label).sum())
        assert held_out == size // 5


def test_missing_scikit_learn_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match="needs the package scikit-learn"):
        data.check("Digits", Path())
