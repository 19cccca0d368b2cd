"""What every network gives to a distillation method: logits and named features."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True)
class Outputs:
    """One forward pass.

    `logits`: (batch, classes). `features`: name -> tensor, in order from input to output; maps
    are (batch, channels, height, width) and `pooled` is (batch, channels), the penultimate
    embedding that the classifier head reads.
    """

    logits: Tensor
    features: dict[str, Tensor]

    def float(self) -> Outputs:
        """The same outputs in float32 (a no-op where they are already)."""
        return Outputs(self.logits.float(), {k: v.float() for k, v in self.features.items()})

    def detach(self) -> Outputs:
        """The same outputs cut from their graph."""
        return Outputs(self.logits.detach(), {k: v.detach() for k, v in self.features.items()})


class Network(nn.Module):
    """A classifier whose forward returns `Outputs` and whose `head` maps `pooled` to logits.

    `groups` names the feature maps that multi-layer methods match, from input to output.
    """

    groups: tuple[str, ...]
    head: nn.Module

    def forward(self, images: Tensor) -> Outputs:
        """Map images (batch, channels, height, width) to `Outputs`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Shapes:
    """The shapes a network produces for one image, without the batch dimension."""

    classes: int
    features: dict[str, tuple[int, ...]]
    groups: tuple[str, ...]
