from __future__ import annotations

import pytest
import torch

from stillhouse import data
from stillhouse.data.specs import SPECS
from stillhouse.errors import DataError

# The field's constants for CIFAR-100 are not its pixels' to the last digit.
TOLERANCE = {"Cifar100": 5e-4}
EXACT = 0.5e-4


@pytest.mark.parametrize("name", SPECS)
def test_constants_are_those_of_the_training_images(name: str) -> None:
    root = data.data_root()
    try:
        data.check(name, root)
    except DataError as error:
        pytest.skip(error.message)
    dataset = data.load(name, root)
    channels = [
        torch.bincount(channel.flatten(), minlength=256).double()
        for channel in dataset.train.images.unbind(1)
    ]
    for counts, mean, std in zip(channels, SPECS[name].mean, SPECS[name].std, strict=True):
        share, level = counts / counts.sum(), torch.arange(256) / 255
        found = float((share * level).sum())
        spread = float((share * (level - found) ** 2).sum().sqrt())
        assert found == pytest.approx(mean, abs=TOLERANCE.get(name, EXACT))
        assert spread == pytest.approx(std, abs=TOLERANCE.get(name, EXACT))
    assert dataset.train.labels.unique().tolist() == list(range(SPECS[name].classes))
    assert dataset.test.labels.unique().tolist() == list(range(SPECS[name].classes))


@pytest.mark.parametrize("name", SPECS)
def test_one_constant_a_channel(name: str) -> None:
    spec = SPECS[name]
    assert spec.name == name
    assert len(spec.mean) == len(spec.std) == spec.channels
