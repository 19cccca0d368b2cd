"""The published datasets in full, where they are here: see `data_root`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stillhouse import data
from stillhouse.config.schema import RunConfig, Training
from stillhouse.data.loader import plain_batches
from stillhouse.errors import DataError
from stillhouse.models.base import fingerprint
from stillhouse.training.evaluate import EVALUATION_BATCH, evaluate
from stillhouse.training.reopen import Place, reopen

STEPS = 20


@pytest.fixture(params=["Cifar10", "Cifar100", "TinyImageNet"])
def name(request: pytest.FixtureRequest) -> str:
    """A dataset that is here in full; skips where it is not."""
    found: str = request.param
    try:
        data.check(found, data.data_root())
    except DataError as error:
        pytest.skip(f"{error.message} ($STILLHOUSE_DATA names the folder of all datasets)")
    return found


def test_it_loads_trains_and_is_evaluated_in_full(name: str, tmp_path: Path) -> None:
    recipe = Training(epochs=1, batch_size=64, learning_rate=0.05, augmentation=("pad_crop",))
    run = RunConfig(dataset=name, method="pure", model="ResNetBaby", seed=0, training=recipe)
    place = Place(tmp_path, tmp_path, data.data_root(), torch.device("cpu"))
    shared = reopen([run], place)
    images, batches = shared.data, shared.batches
    spec = data.spec(name)
    assert (len(images.train), len(images.test)) == (spec.train_images, spec.test_images)
    assert int(images.test.labels.bincount().max()) == spec.commonest
    trainer = shared.trainer(run)
    before = fingerprint(trainer.network)
    for step in range(STEPS):
        trainer.step(batches.batch(0, step), None)
    assert fingerprint(trainer.network) != before
    found = evaluate(trainer.network, plain_batches(images.test, spec, EVALUATION_BATCH))
    assert found.logits.shape == (10_000, spec.classes)
    assert found.logits.isfinite().all()
    assert len(found.predictions.unique()) > 1


def test_its_pixels_have_the_mean_and_deviation_of_the_spec(name: str) -> None:
    spec, images = data.spec(name), data.load(name, data.data_root()).train.images
    for channel, (mean, std) in enumerate(zip(spec.mean, spec.std, strict=True)):
        counts = torch.bincount(images[:, channel].flatten(), minlength=256).double()
        levels = torch.arange(256, dtype=torch.float64) / 255
        found = (counts * levels).sum() / counts.sum()
        deviation = ((counts * (levels - found) ** 2).sum() / counts.sum()).sqrt()
        assert abs(float(found) - mean) < 3e-4
        assert abs(float(deviation) - std) < 6e-4
