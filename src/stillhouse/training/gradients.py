"""Gradients of a network as one vector, and how its loss terms pull on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """Return all values of some tensors as one vector."""
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def gradient_balance(
    weighted: dict[str, Tensor],
    parameters: Iterable[nn.Parameter],
    scale: Callable[[], float | Tensor],
) -> dict[str, Tensor]:
    """Return gradient norms over the parameters of weighted CE and of all other terms; their
    cosine.

    `scale` gives the gradient scaler's factor. Empty if no other term has a weight.
    """
    factor, parameters = scale(), list(parameters)
    others = [value for name, value in weighted.items() if name != "ce"]
    if not others:
        return {}
    distilled = torch.stack(others).sum()
    vectors = []
    for part in (weighted.get("ce", distilled * 0), distilled):
        gradients = torch.autograd.grad(
            part * factor, parameters, retain_graph=True, materialize_grads=True
        )
        vectors.append(flat(gradients).double() / factor)
    ce, kd = vectors
    cosine = torch.dot(ce, kd) / (ce.norm() * kd.norm()).clamp_min(torch.finfo(ce.dtype).tiny)
    return {"ce": ce.norm(), "kd": kd.norm(), "cosine": cosine}
