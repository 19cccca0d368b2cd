"""The optimizer, and the learning rate as a pure function of epoch and step."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from stillhouse.config.schema import Training

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


def make_optimizer(training: Training, parameters: Iterable[nn.Parameter]) -> torch.optim.SGD:
    """SGD over the student's and the method's parameters; the loop sets its learning rate."""
    return torch.optim.SGD(
        parameters,
        lr=training.learning_rate,
        momentum=training.momentum,
        weight_decay=training.weight_decay,
        nesterov=training.nesterov,
    )
