from __future__ import annotations

import pytest
import torch

from stillhouse import methods
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.training.timing import IMAGES, seconds_per_image, untrained

CPU = torch.device("cpu")


@pytest.mark.parametrize("method", ["pure", "logit", "fitnets", "factor_transfer"])
def test_a_step_is_timed_without_the_dataset(method: str) -> None:
    teacher = Teacher(model="ResNetBaby", seed=0) if method != "pure" else None
    run = RunConfig(dataset="Cifar100", method=method, model="ResNetBaby", seed=0, teacher=teacher)
    assert seconds_per_image(resolve(run), CPU) > 0


def test_what_is_timed_is_the_step_of_a_whole_training_set() -> None:
    """A method may keep something for every training image."""
    run = RunConfig(dataset="TinyImageNet", method="pure", model="ResNetBaby", seed=0)
    trainer, shared, batch = untrained(run, CPU)
    assert len(shared.data.train) == 100_000 and trainer.steps == 100_000 // 128
    assert batch.images.shape == (IMAGES, 3, 64, 64)
    assert methods.load("pure") is type(trainer.method)
