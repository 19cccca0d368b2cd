"""What the networks of a round cost, counted."""

from __future__ import annotations

import pytest

from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.rounds.cost import forward_operations


@pytest.mark.parametrize(
    ("model", "flops"),  # of torch.utils.flop_counter, which counts two a multiplication
    [("ResNet112", 506_299_648), ("ResNet20", 81_626_368), ("ResNetBaby", 25_003_264)],
)
def test_operations_are_torchs_own_count(model: str, flops: int) -> None:
    run = RunConfig(dataset="Cifar10", method="pure", model=model, seed=0)
    assert forward_operations([run, run]) == {"Cifar10": {model: flops // 2}}


def test_teachers_are_counted_too_and_larger_images_cost_more() -> None:
    teacher = Teacher(model="ResNet20", seed=0)
    runs = [
        RunConfig(dataset=name, method="logit", model="ResNetBaby", seed=0, teacher=teacher)
        for name in ("Cifar10", "TinyImageNet")
    ]
    small, large = forward_operations(runs).values()
    assert set(small) == set(large) == {"ResNet20", "ResNetBaby"}
    assert large["ResNet20"] == pytest.approx(4 * small["ResNet20"], rel=0.01)
