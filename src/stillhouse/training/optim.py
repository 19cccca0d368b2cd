"""The optimizer, and the learning rate as a pure function of epoch and step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stillhouse.config.schema import Training
from stillhouse.errors import ConfigError
from stillhouse.methods.base import ParameterGroup

WARMUP_START = 0.1
STEP_FACTOR = 0.1


def learning_rate(training: Training, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of step `step` (of `steps`) in `epoch`, both from 0.

    The schedule is updated once per epoch: `cosine` to 0 over all epochs (PyTorch's
    CosineAnnealingLR with T_max = epochs), or a tenth after each milestone. Warm-up multiplies it
    by a factor that rises linearly, at every step, from a tenth to 1 over `warmup_epochs` (He et
    al. 2016, section 4.2, needed a smaller rate at the start for their 110-layer network).
    """
    rate = training.learning_rate
    if training.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * epoch / training.epochs)) / 2
    elif training.schedule == "step":
        rate *= STEP_FACTOR ** sum(epoch >= milestone for milestone in training.milestones)
    if epoch < training.warmup_epochs:
        progress = (epoch * steps + step) / (training.warmup_epochs * steps)
        rate *= WARMUP_START + (1 - WARMUP_START) * progress
    return rate


def make_optimizer(
    training: Training,
    parameters: Iterable[nn.Parameter],
    groups: Iterable[ParameterGroup] = (),
    fused: bool = False,
) -> torch.optim.SGD:
    """SGD over the student's and the method's parameters; `set_rate` sets its learning rates.

    `groups` are those of the method. `fused` is the form for a GPU: one launch, no synchronisation,
    learning rates in float32 on the device. Raises ConfigError unless each of the groups'
    parameters is among `parameters` once.
    """
    left = {id(parameter): parameter for parameter in parameters}
    own = []
    for group in groups:
        fields: dict[str, Any] = {"params": [left.pop(id(p), None) for p in group.parameters]}
        if None in fields["params"]:
            raise ConfigError(
                "parameter_groups() returns a parameter that is not the method's, is frozen, or "
                "is in two groups",
                "return trainable parameters of the method's modules, each once",
            )
        if group.learning_rate is not None:
            fields["initial_lr"] = group.learning_rate
        if group.weight_decay is not None:
            fields["weight_decay"] = group.weight_decay
        own.append(fields)
    optimizer = torch.optim.SGD(
        [{"params": [*left.values()]}, *own],
        lr=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        nesterov=training.nesterov,
        fused=fused or None,
    )
    if fused:
        for given in optimizer.param_groups:
            device = next((p.device for p in given["params"]), torch.device("cpu"))
            given["lr"] = torch.tensor(given["lr"], dtype=torch.float32, device=device)
        fill_momentum(optimizer)
    return optimizer


def fill_momentum(optimizer: torch.optim.SGD) -> None:
    """Give every parameter a momentum buffer of zeros if it has none.

    The fused step leaves its own new buffer uninitialised if the step is skipped.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"] if group["momentum"] else ():
            if optimizer.state[parameter].get("momentum_buffer") is None:
                optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)


def load_optimizer(optimizer: torch.optim.SGD, state: dict[str, Any]) -> None:
    """Load a state of this device's form of the optimizer or of the other."""
    forms = [(group["lr"], group["fused"]) for group in optimizer.param_groups]
    optimizer.load_state_dict(state)
    for group, (rate, fused) in zip(optimizer.param_groups, forms, strict=True):
        loaded = float(group["lr"])
        group["lr"] = rate.fill_(loaded) if isinstance(rate, Tensor) else loaded
        group["fused"] = fused
        if fused:
            fill_momentum(optimizer)


def set_rate(
    optimizer: torch.optim.Optimizer, training: Training, epoch: int, step: int, steps: int
) -> None:
    """Set the learning rate of every parameter group (see `learning_rate`)."""
    rate = learning_rate(training, epoch, step, steps)
    for group in optimizer.param_groups:
        own = group.get("initial_lr")
        value = rate if own is None else rate * (own / training.learning_rate)
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(value)
        else:
            group["lr"] = value
