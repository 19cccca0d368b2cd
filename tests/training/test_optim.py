from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from stillhouse.config.schema import Training
from stillhouse.training.optim import learning_rate, make_optimizer


def test_cosine_is_pytorchs_over_all_epochs() -> None:
    training = Training(epochs=150, learning_rate=0.1)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=150)
    for epoch in range(150):
        assert learning_rate(training, epoch, 3, 10) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-9
        )
        optimizer.step()
        schedule.step()


def test_step_is_pytorchs_multistep() -> None:
    training = Training(epochs=9, learning_rate=0.1, schedule="step", milestones=(3, 6))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 6], 0.1)
    for epoch in range(9):
        assert learning_rate(training, epoch, 0, 1) == pytest.approx(
            optimizer.param_groups[0]["lr"]
        )
        optimizer.step()
        schedule.step()


def test_warm_up_rises_from_a_tenth_step_by_step_and_then_leaves_the_schedule_alone() -> None:
    plain = Training(epochs=10, learning_rate=0.1, schedule="constant")
    warm = plain.model_copy(update={"warmup_epochs": 2})
    rates = [learning_rate(warm, epoch, step, 4) for epoch in range(3) for step in range(4)]
    assert rates[0] == pytest.approx(0.01)
    assert all(b > a for a, b in pairwise(rates[:9]))
    assert rates[8:] == [0.1] * 4


def test_the_optimizer_takes_the_recipe() -> None:
    training = Training(momentum=0.8, weight_decay=1e-3, nesterov=True)
    group = make_optimizer(training, [torch.zeros(1, requires_grad=True)]).param_groups[0]
    assert (group["momentum"], group["weight_decay"], group["nesterov"]) == (0.8, 1e-3, True)
