"""Weights and images on which the networks of the CRD benchmark are compared with its code."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear)


def image() -> Tensor:
    """One normally distributed float64 image of 32 x 32 pixels."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(1, 3, 32, 32, generator=generator, dtype=torch.float64)


def layers_in_order(network: nn.Module) -> list[nn.Module]:
    """Return the layers with weights in the order in which a forward pass calls them."""
    called: list[nn.Module] = []
    hooks = [
        layer.register_forward_hook(lambda layer, given, output: called.append(layer))
        for layer in network.modules()
        if isinstance(layer, LAYERS)
    ]
    with torch.no_grad():
        network(image())
    for hook in hooks:
        hook.remove()
    return called


def fill(layer: nn.Module, generator: torch.Generator) -> None:
    """Draw a layer's weights and statistics, scaled so that no map vanishes."""
    with torch.no_grad():
        for name, value in layer.state_dict().items():
            if value.dtype != torch.float64:
                continue
            drawn = torch.rand(value.shape, generator=generator, dtype=torch.float64)
            if name == "running_var" or (name == "weight" and value.dim() == 1):
                value.copy_(drawn + 0.5)
            else:
                reach = 2 * (2 / value[0].numel()) ** 0.5 if value.dim() > 1 else 0.2
                value.copy_((drawn - 0.5) * reach)
