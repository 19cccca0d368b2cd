"""Catching training that has gone wrong, at the step where it does, by name."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from stillhouse.errors import TrainingError

STUCK_STEPS = 50


def check_terms(terms: dict[str, Tensor], epoch: int, step: int) -> None:
    """Raise TrainingError naming the first term that is not finite (one synchronisation)."""
    finite = torch.isfinite(torch.stack([value.detach() for value in terms.values()])).tolist()
    for name, good in zip(terms, finite, strict=True):
        if not good:
            raise TrainingError(
                f"the loss term '{name}' is not finite at epoch {epoch} step {step}"
            )


def gradient_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """The Euclidean norm of all gradients, on their device."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


def first_bad_gradient(named: Iterable[tuple[str, nn.Parameter]]) -> str | None:
    """The first parameter whose gradient is not finite."""
    for name, parameter in named:
        if parameter.grad is not None and not torch.isfinite(parameter.grad).all():
            return name
    return None
