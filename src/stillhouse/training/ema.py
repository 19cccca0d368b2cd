"""The exponential moving average of a network's weights, evaluated beside them."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """The average of a model's floating-point state after each step, from now on.

    average = decay * average + (1 - decay) * state (Polyak averaging; Tarvainen and Valpola 2017,
    arXiv:1703.01780). Batch-norm statistics are averaged like weights, as in timm and in
    torchvision's reference training; integers are copied. `model` holds the average, in eval mode.
    """

    def __init__(self, source: nn.Module, decay: float) -> None:
        self.source, self.decay = source, decay
        self.model = copy.deepcopy(source).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self) -> None:
        """Take in the source's present state; only kernels, so a CUDA graph can record it."""
        pairs = [*zip(self.tensors(), _state(self.source), strict=True)]
        real = [pair for pair in pairs if pair[0].is_floating_point()]
        torch._foreach_lerp_([a for a, _ in real], [b for _, b in real], 1 - self.decay)
        for average, now in pairs:
            if not average.is_floating_point():
                average.copy_(now)

    def tensors(self) -> list[Tensor]:
        """Return every tensor that `update` changes."""
        return _state(self.model)


def _state(model: nn.Module) -> list[Tensor]:
    return [*(p.detach() for p in model.parameters()), *model.buffers()]
