"""The contract of datasets: Digits keeps it, and each check catches a broken one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.plugin import read_plugin
from stillhouse.training.contract.dataset import CHECKS, DataCase
from stillhouse.training.contract.verdict import run_checks

SOUND = """
import torch
from stillhouse import data
from stillhouse.data.base import Dataset, Split, make_dataset

SPEC = data.DatasetSpec(
    name="bent_digits", label="Bent", classes=10, channels=1, size=8,
    train_images=1_442, test_images=355, commonest=36, mean=(0.3052,), std=(0.3760,),
)

def load(spec, root):
    digits = data.load("Digits", root)
    train, test = digits.train, digits.test
    return Dataset(spec, train, test)
"""
RETURN = "    return Dataset(spec, train, test)"
IMAGES, LABELS = "images are as specified", "labels are as specified"
STATISTICS = "mean and std are the training images'"


def put(old: str, new: str) -> str:
    assert SOUND.count(old) == 1
    return SOUND.replace(old, new)


def train(
    images: str = "train.images", labels: str = "train.labels", ids: str = "train.ids"
) -> str:
    return put(RETURN, f"    return Dataset(spec, Split({images}, {labels}, {ids}), test)")


BROKEN: list[tuple[str, str, str]] = [
    (IMAGES, put("1_442", "1_443"), "the training images are (1442, 1, 8, 8)"),
    (IMAGES, put("size=8", "size=16"), "(1442, 1, 16, 16)"),
    (IMAGES, train(images="train.images / 255"), "the training images are float32, not uint8"),
    (IMAGES, train(images="train.images // 255"), "no training pixel is above 1"),
    (LABELS, put("classes=10", "classes=9"), "the training labels go from 0 to 9"),
    (LABELS, put("classes=10", "classes=11"), "no training image is of class [10]"),
    (LABELS, train(labels="train.labels.int()"), "labels are torch.int32, not int64"),
    (LABELS, train(labels="train.labels[1:]"), "the training labels are (1441,)"),
    (LABELS, put("commonest=36", "commonest=35"), "the commonest class has 36 test images"),
    ("ids number the rows", train(ids="train.ids + 1"), "the training ids are not 0 to 1441"),
    (
        "loading twice is equal",
        put(
            "    return",
            "    torch.seed()\n    train = train.rows(torch.randperm(1442))\n    return",
        ),
        "two loads differ",
    ),
    (STATISTICS, put("mean=(0.3052,)", "mean=(0.31,)"), "mean is specified as (0.31,)"),
    (STATISTICS, put("std=(0.3760,)", "std=(0.35,)"), "the images have (0.376,)"),
]


def verdict(folder: Path, text: str, check: str) -> str:
    path = folder / "bent_digits.py"
    path.write_text(text)
    case = DataCase("bent_digits", folder, (read_plugin(path),))
    (found,) = run_checks({check: CHECKS[check]}, case)
    return found.reason


@pytest.mark.parametrize("check", CHECKS)
def test_digits(check: str, tmp_path: Path) -> None:
    CHECKS[check](DataCase("Digits", tmp_path))


def test_every_check_has_a_dataset_that_it_catches() -> None:
    assert {check for check, _, _ in BROKEN} == {*CHECKS}


@pytest.mark.parametrize(("check", "text", "reason"), BROKEN, ids=[b[0] for b in BROKEN])
def test_caught(check: str, text: str, reason: str, tmp_path: Path) -> None:
    assert reason in verdict(tmp_path, text, check)


@pytest.mark.parametrize("check", CHECKS)
def test_the_sound_dataset_passes(check: str, tmp_path: Path) -> None:
    assert verdict(tmp_path, SOUND, check) == ""
