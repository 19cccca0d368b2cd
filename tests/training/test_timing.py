from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from stillhouse import methods
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.training import timing
from stillhouse.training.timing import IMAGES, seconds_per_image, step_seconds, untrained

CPU = torch.device("cpu")


@pytest.mark.parametrize("method", ["pure", "logit", "fitnets", "factor_transfer"])
def test_a_step_is_timed_without_the_dataset(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    teacher = Teacher(model="ResNetBaby", seed=0) if method != "pure" else None
    run = RunConfig(dataset="Cifar100", method=method, model="ResNetBaby", seed=0, teacher=teacher)
    whole: list[float] = []

    def timed(*arguments: Any) -> Iterator[float]:
        for seconds in step_seconds(*arguments):
            whole.append(seconds)
            yield seconds

    monkeypatch.setattr(timing, "step_seconds", timed)
    assert seconds_per_image(resolve(run), CPU) == min(whole) / IMAGES > 0


def test_what_is_timed_is_the_step_of_a_whole_training_set() -> None:
    """A method may keep something for every training image."""
    run = RunConfig(dataset="TinyImageNet", method="pure", model="ResNetBaby", seed=0)
    trainer, shared, batch = untrained(run, CPU)
    assert len(shared.data.train) == 100_000 and trainer.steps == 100_000 // 128
    assert batch.images.shape == (IMAGES, 3, 64, 64)
    assert methods.load("pure") is type(trainer.method)
