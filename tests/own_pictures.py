"""Small folders of pictures and .npz files for the tests of own images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
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
"""
TRAINING = "training: {epochs: 1, batch_size: 4}\n"
PARTS = {"train": 3, "test": 3}


def save(path: Path, value: Any, mode: str = "RGB", size: tuple[int, int] = (8, 8)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)
    return path


def colour(number: int) -> tuple[int, int, int]:
    return number, 2 * number, 255 - number


def folder(root: Path, parts: dict[str, int] | None = None, classes: str = "ab") -> Path:
    """A folder `flowers` of plain pictures, numbered from 1 on through parts and classes."""
    number = 0
    for part, count in (parts or PARTS).items():
        for name in classes:
            for index in range(count):
                number += 1
                save(root / "flowers" / part / name / f"{index}.png", colour(number))
    return root / "flowers"


def npz(root: Path, **changed: Any) -> Path:
    """A file with MedMNIST's keys; an array given as None is left out."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 12), ("val", 4), ("test", 6)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f"{part}_labels"] = (np.arange(count) % 2).reshape(-1, 1).astype(np.uint8)
    kept = {key: value for key, value in (arrays | changed).items() if value is not None}
    np.savez_compressed(root / "flowers.npz", **kept)
    return root / "flowers.npz"


def load(root: Path, entry: str = "folder: ./flowers", training: str = TRAINING) -> Round:
    """Write a round file whose dataset `flowers` has this entry, and read it."""
    file = root / "own.yaml"
    file.write_text(ROUND % f"name: flowers, {entry}" + training)
    return load_round(file)


def images(round_: Round) -> Dataset:
    return data.load("flowers", Path("nowhere"), round_.files)


def numbers(dataset: Dataset, part: str = "train") -> list[int]:
    """The numbers of plain pictures, in order: see `folder`."""
    found: list[int] = getattr(dataset, part).images[:, 0, 0, 0].tolist()
    return found
