"""The optimizer, and the learning rate as a pure function of epoch and step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from stillhouse.config.schema import Training
from stillhouse.errors import ConfigError
from stillhouse.methods.base import ParameterGroup

WARMUP_START = 0.1
STEP_FACTOR = 0.1


def learning_rate(training: Training, epoch: int, step: int, steps: int) -> float:
    """The learning rate of step `step` (of `steps`) in `epoch`, both from 0.

    The schedule moves once an epoch: `cosine` to 0 over all epochs (PyTorch's CosineAnnealingLR
    with T_max = epochs), or a tenth after each milestone. Warm-up multiplies it by a factor that
    rises linearly, step by step, from a tenth to 1 over `warmup_epochs` (He et al. 2016, section
    4.2, needed a smaller rate at the start for their 110-layer network).
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
    training: Training, parameters: Iterable[nn.Parameter], groups: Iterable[ParameterGroup] = ()
) -> torch.optim.SGD:
    """SGD over the student's and the method's parameters; `set_rate` sets its learning rates.

    `groups` are those of the method. Raises ConfigError unless each of their parameters is among
    `parameters` once.
    """
    left = {id(parameter): parameter for parameter in parameters}
    own = []
    for group in groups:
        fields: dict[str, Any] = {"params": [left.pop(id(p), None) for p in group.parameters]}
        if None in fields["params"]:
            raise ConfigError(
                "parameter_groups() gives a parameter that is not the method's own, is frozen, or "
                "is in two groups",
                "give parameters of the method's modules that take gradients, each once",
            )
        if group.learning_rate is not None:
            fields["initial_lr"] = group.learning_rate
        if group.weight_decay is not None:
            fields["weight_decay"] = group.weight_decay
        own.append(fields)
    return torch.optim.SGD(
        [{"params": [*left.values()]}, *own],
        lr=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        nesterov=training.nesterov,
    )


def set_rate(
    optimizer: torch.optim.Optimizer, training: Training, epoch: int, step: int, steps: int
) -> None:
    """Give every parameter group its learning rate of a step (see `learning_rate`)."""
    rate = learning_rate(training, epoch, step, steps)
    for group in optimizer.param_groups:
        own = group.get("initial_lr")
        group["lr"] = rate if own is None else rate * (own / training.learning_rate)
