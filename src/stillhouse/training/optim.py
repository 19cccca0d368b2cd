"""The optimizer, gradient clipping, and the learning rate as a pure function of epoch and step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stillhouse.config.schema import Training
from stillhouse.errors import ConfigError
from stillhouse.methods.base import ParameterGroup

WARMUP_START = 0.1


def learning_rate(training: Training, epoch: int, step: int, steps: int) -> float:
    """Return the learning rate of step `step` (of `steps`) in `epoch`, both from 0.

    The schedule is updated once per epoch: `cosine` to 0 over all epochs (PyTorch's
    CosineAnnealingLR with T_max = epochs), or times `step_factor` after each milestone. Warm-up
    multiplies it by a factor that rises linearly, at every step, from a tenth to 1 over
    `warmup_epochs` (He et al. 2016, section 4.2, needed a smaller rate at the start for their
    110-layer network).
    """
    rate = training.learning_rate
    if training.schedule == "cosine":
        rate *= (1 + math.cos(math.pi * epoch / training.epochs)) / 2
    elif training.schedule == "step":
        rate *= training.step_factor ** sum(epoch >= milestone for milestone in training.milestones)
    if epoch < training.warmup_epochs:
        progress = (epoch * steps + step) / (training.warmup_epochs * steps)
        rate *= WARMUP_START + (1 - WARMUP_START) * progress
    return rate


def make_optimizer(
    training: Training,
    parameters: Iterable[nn.Parameter],
    groups: Iterable[ParameterGroup] = (),
    fused: bool = False,
    undecayed: Iterable[nn.Parameter] = (),
) -> torch.optim.Optimizer:
    """Return the recipe's optimizer of the student's and the method's parameters.

    `groups` are those of the method. `fused` is the form for a GPU: one launch, no synchronisation,
    learning rates in float32 on the device. Adam and AdamW are fused on every device. With
    `decay_norms_and_biases: false` vectors, scalars and `undecayed` have no weight decay, unless
    their group sets its own. Raises ConfigError unless each of the groups' parameters is among
    `parameters` once.
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
    given = [{"params": [*left.values()]}, *own]
    if not training.decay_norms_and_biases:
        exempt = {id(parameter) for parameter in undecayed}
        given = [part for fields in given for part in _by_decay(fields, exempt)]
    optimizer = _optimizer(training, given, fused)
    if fused:
        for group_ in optimizer.param_groups:
            device = next((p.device for p in group_["params"]), torch.device("cpu"))
            group_["lr"] = torch.tensor(group_["lr"], dtype=torch.float32, device=device)
        fill_state(optimizer)
    return optimizer


def _optimizer(
    training: Training, groups: list[dict[str, Any]], fused: bool
) -> torch.optim.Optimizer:
    rate, decay = training.learning_rate, training.weight_decay
    if training.optimizer == "sgd":
        return torch.optim.SGD(
            groups,
            lr=rate,
            momentum=training.momentum,
            weight_decay=decay,
            nesterov=training.nesterov,
            fused=fused or None,
        )
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training.optimizer]
    made: torch.optim.Optimizer = kind(
        groups, lr=rate, betas=training.betas, weight_decay=decay, fused=True, capturable=fused
    )
    # Its kernels are the same with and without a graph: no warning that it also runs without one.
    made._warned_capturable_if_run_uncaptured = True
    return made


def _by_decay(fields: dict[str, Any], exempt: set[int]) -> Iterator[dict[str, Any]]:
    """Split a group in two: weights, then the parameters without weight decay."""
    if "weight_decay" in fields:
        yield fields
        return
    given, free = fields["params"], [p for p in fields["params"] if p.dim() < 2 or id(p) in exempt]
    freed = {id(parameter) for parameter in free}
    if decayed := [parameter for parameter in given if id(parameter) not in freed]:
        yield {**fields, "params": decayed}
    if free:
        yield {**fields, "params": free, "weight_decay": 0.0}


def undecayed(model: nn.Module) -> list[nn.Parameter]:
    """Return the parameters that a network itself exempts from weight decay.

    They are those named by a method `no_weight_decay()` of one of its modules, as timm's
    transformers have it for tokens and position embeddings.
    """
    return [
        parameter
        for module in model.modules()
        if callable(named := getattr(module, "no_weight_decay", None))
        for name, parameter in module.named_parameters()
        if any(name.endswith(part) for part in named())
    ]


def clip(parameters: Sequence[nn.Parameter], norm: Tensor, limit: float | None) -> None:
    """Scale all gradients so that their common norm, which is `norm` now, is at most `limit`.

    As in PyTorch's clip_grad_norm_ (Pascanu et al. 2013, arXiv:1211.5063), without waiting for a
    GPU. Non-finite gradients stay so.
    """
    if limit is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)


def fill_state(optimizer: torch.optim.Optimizer) -> None:
    """Give every parameter that has no state of the optimizer one of zeros.

    SGD's fused step leaves its own new buffer uninitialised if the step is skipped. A CUDA graph
    restores after its warm-up only what was there before.
    """
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            state = optimizer.state[parameter]
            if "betas" in group and not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
                state["exp_avg"] = torch.zeros_like(parameter)
                state["exp_avg_sq"] = torch.zeros_like(parameter)
            elif group.get("momentum") and state.get("momentum_buffer") is None:
                state["momentum_buffer"] = torch.zeros_like(parameter)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load a state of this device's form of the optimizer or of the other."""
    kept = ("lr", "fused", "capturable")
    forms: list[dict[str, Any]] = [
        {name: group[name] for name in kept if name in group} for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(state)
    for group, form in zip(optimizer.param_groups, forms, strict=True):
        rate, loaded = form["lr"], float(group["lr"])
        group |= form
        group["lr"] = rate.fill_(loaded) if isinstance(rate, Tensor) else loaded
        if form["fused"]:
            fill_state(optimizer)


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
