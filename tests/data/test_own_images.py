"""Folders of images and .npz files: from a round file to a loaded dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stillhouse import data
from stillhouse.config.load import load_round
from stillhouse.config.schema import Round
from stillhouse.data.base import Dataset

ROUND = """\
round: own
datasets: [{%s}]
teacher: ResNet20
students: [ResNetBaby]
methods: [pure]
seeds: [0]
training: {epochs: 1, batch_size: 4}
"""
PART = dict.fromkeys(("train", "test"), 3)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data"


def save(path: Path, value: Any, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


def folder(root: Path, parts: dict[str, int] = PART, classes: str = "ab") -> Path:
    """A folder of plain images: each has a colour of its own; 3 of each class and part."""
    colour = 0
    for part, count in parts.items():
        for name in classes:
            for number in range(count):
                colour += 1
                save(
                    root / "flowers" / part / name / f"{number}.png",
                    (colour, 2 * colour, 255 - colour),
                )
    return root / "flowers"


def load(root: Path, entry: str = "folder: ./flowers", also: str = "") -> Round:
    file = root / "own.yaml"
    file.write_text(ROUND % f"name: flowers, {entry}" + also)
    return load_round(file)


def images(round_: Round) -> Dataset:
    return data.load("flowers", Path("nowhere"), round_.files)


@pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")
class TestFolder:
    def test_it_is_a_dataset_straight_from_the_round_file(self, tmp_path: Path) -> None:
        folder(tmp_path)
        round_ = load(tmp_path)
        dataset, spec = images(round_), data.spec("flowers", round_.files)
        assert (spec.name, spec.classes, spec.channels, spec.size) == ("flowers", 2, 3, 8)
        assert (spec.train_images, spec.test_images, spec.commonest) == (6, 6, 3)
        assert dataset.train.labels.tolist() == dataset.test.labels.tolist() == [0, 0, 0, 1, 1, 1]
        assert dataset.train.images[:, 0, 0, 0].tolist() == [1, 2, 3, 4, 5, 6]
        assert dataset.test.images[:, 1, 7, 7].tolist() == [14, 16, 18, 20, 22, 24]

    def test_mean_and_std_are_those_of_the_training_images(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(0)
        for part in ("train", "test"):
            for number in range(4):
                path = save(tmp_path / "flowers" / part / "ab"[number % 2] / f"{number}.png", 0)
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(path)
        round_ = load(tmp_path)
        spec, train = data.spec("flowers", round_.files), images(round_).train.images / 255
        assert spec.mean == pytest.approx(train.mean(dim=(0, 2, 3)).tolist(), abs=1e-4)
        whole = train.transpose(0, 1).flatten(1).std(dim=1, correction=0)
        assert spec.std == pytest.approx(whole.tolist(), abs=1e-4)
