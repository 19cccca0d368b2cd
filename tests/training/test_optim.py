from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from stillhouse.config.schema import Training
from stillhouse.errors import ConfigError
from stillhouse.methods.base import ParameterGroup
from stillhouse.training.optim import (
    clip,
    learning_rate,
    load_optimizer,
    make_optimizer,
    set_rate,
    undecayed,
)


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


def parameter() -> torch.nn.Parameter:
    return torch.nn.Parameter(torch.ones(2))


def test_groups_keep_their_ratio_to_the_recipes_rate_and_their_weight_decay() -> None:
    recipe = Training(epochs=4, learning_rate=0.2, weight_decay=0.01, warmup_epochs=1)
    plain, fast, bare = parameter(), parameter(), parameter()
    groups = [ParameterGroup([fast], learning_rate=0.8), ParameterGroup([bare], weight_decay=0)]
    optimizer = make_optimizer(recipe, [plain, fast, bare], groups)
    assert [group["params"] for group in optimizer.param_groups] == [[plain], [fast], [bare]]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.01, 0]
    for epoch, step in ((0, 0), (0, 3), (2, 1), (3, 4)):
        set_rate(optimizer, recipe, epoch, step, 5)
        rate = learning_rate(recipe, epoch, step, 5)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == [rate, pytest.approx(4 * rate), rate]


def test_without_groups_there_is_the_one_group_that_checkpoints_hold() -> None:
    (group,) = make_optimizer(Training(epochs=1), [parameter()]).state_dict()["param_groups"]
    assert "initial_lr" not in group
    assert group["params"] == [0]


@pytest.mark.parametrize("twice", [True, False])
def test_a_group_of_foreign_or_repeated_parameters_is_refused(twice: bool) -> None:
    own = parameter()
    groups = [ParameterGroup([own]), ParameterGroup([own if twice else parameter()])]
    with pytest.raises(ConfigError, match="is frozen, or is in two groups"):
        make_optimizer(Training(epochs=1), [own], groups)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_state_loads_into_the_other_devices_form_of_the_optimizer(name: str) -> None:
    training = Training(optimizer=name, learning_rate=0.2)

    def stepped(fused: bool) -> torch.optim.Optimizer:
        weight = torch.nn.Parameter(torch.ones(3))
        optimizer = make_optimizer(training, [weight], fused=fused)
        weight.grad = torch.full((3,), 0.5)
        optimizer.step()
        return optimizer

    for fused in (True, False):
        theirs, ours = stepped(fused), stepped(not fused)
        load_optimizer(ours, theirs.state_dict())
        (group,) = ours.param_groups
        assert isinstance(group["lr"], torch.Tensor) == (not fused)
        assert bool(group["fused"]) == (not fused or name != "sgd")
        assert group.get("capturable", not fused) == (not fused)
        set_rate(ours, training, 0, 0, 1)
        assert float(group["lr"]) == pytest.approx(0.2)
        ours.step()


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_a_skipped_first_step_leaves_the_state_at_zero(name: str) -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = make_optimizer(Training(optimizer=name, learning_rate=0.2), [weight], fused=True)
    weight.grad = torch.full((3,), float("nan"))
    optimizer.found_inf = torch.ones(())  # type: ignore[attr-defined]
    optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(3))
    assert optimizer.state[weight]
    assert all(torch.count_nonzero(value) == 0 for value in optimizer.state[weight].values())


@pytest.mark.parametrize(
    ("name", "kind"), [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)]
)
def test_adam_is_pytorchs(name: str, kind: type[torch.optim.Optimizer]) -> None:
    recipe = Training(optimizer=name, learning_rate=0.01, betas=(0.7, 0.9), weight_decay=0.3)
    ours, theirs = parameter(), parameter()
    optimizers = [
        make_optimizer(recipe, [ours]),
        kind([theirs], lr=0.01, betas=(0.7, 0.9), weight_decay=0.3),  # type: ignore[call-arg]
    ]
    for step in range(5):
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = torch.tensor([0.1 * step, -1.0])
            optimizer.step()
    torch.testing.assert_close(ours, theirs)
    assert not torch.equal(ours, torch.ones(2))


def test_norms_and_biases_go_without_weight_decay() -> None:
    class Token(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Parameter(torch.zeros(1, 4, 4))

        def no_weight_decay(self) -> set[str]:
            return {"token"}

    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), Token())
    conv, norm, token = model[0], model[1], model[2]
    own, kept = parameter(), parameter()
    recipe = Training(weight_decay=0.1, decay_norms_and_biases=False)
    groups = [ParameterGroup([own], learning_rate=0.3), ParameterGroup([kept], weight_decay=0.2)]
    optimizer = make_optimizer(
        recipe, [*model.parameters(), own, kept], groups, undecayed=undecayed(model)
    )
    found = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    free = [conv.bias, norm.weight, norm.bias, token.token, own]
    assert [found[id(p)] for p in free] == [0.0] * 5
    assert (found[id(conv.weight)], found[id(kept)], len(found)) == (0.1, 0.2, 7)
    (rate,) = [g["initial_lr"] for g in optimizer.param_groups if g["params"][0] is own]
    assert rate == 0.3
    (whole,) = make_optimizer(Training(), model.parameters()).param_groups
    assert len(whole["params"]) == 5


def test_clipping_is_pytorchs_and_leaves_small_gradients_alone() -> None:
    ours, theirs = parameter(), parameter()
    ours.grad, theirs.grad = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.0])
    clip([ours], torch.tensor(5.0), 10.0)
    clip([ours], torch.tensor(5.0), None)
    assert ours.grad.tolist() == [3.0, 4.0]
    clip([ours], torch.tensor(5.0), 1.0)
    nn.utils.clip_grad_norm_([theirs], 1.0)
    assert torch.equal(ours.grad, theirs.grad)
    assert float(ours.grad.norm()) == pytest.approx(1.0)


def test_the_step_multiplies_by_its_factor() -> None:
    recipe = Training(epochs=9, schedule="step", milestones=(3, 6), step_factor=0.5)
    rates = [learning_rate(recipe, epoch, 0, 1) for epoch in (2, 3, 6)]
    assert rates == pytest.approx([0.1, 0.05, 0.025])
