"""CIFAR-style residual networks (He et al. 2016, arXiv:1512.03385, section 4.2).

Three groups of basic blocks with 16, 32 and 64 channels (resnet8x4 and resnet32x4: 64, 128 and 256,
the stem 32); the second and third halve the map.
Shortcuts that change shape are 1x1 projections, so ResNet112 (18 blocks a group) is the network
the field calls resnet110, with 1,736,564 parameters at 100 classes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs
from stillhouse.models.layers import Block, draw_convolutions, run_groups

WIDTHS = {1: (16, 16, 32, 64), 4: (32, 64, 128, 256)}  # stem and groups, by the factor in the name


class BasicBlock(Block):
    """Two 3x3 convolutions with batch norm and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )

    def before(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels, h / stride, w / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out)) + self.shortcut(x)  # type: ignore[no-any-return]


class ResNet(Network):
    """A residual network for images of 8 to 64 pixels.

    Features for an S x S image (B = batch): `stem` and `layer1` (B, 16, S, S), `layer2`
    (B, 32, S/2, S/2), `layer3` (B, 64, S/4, S/4), `pooled` (B, 64); logits (B, classes). With
    factor 4 the channels are 32, 64, 128 and 256.
    """

    groups = ("layer1", "layer2", "layer3")

    def __init__(self, blocks: int, classes: int, channels_in: int = 3, factor: int = 1) -> None:
        super().__init__()
        stem, *widths = WIDTHS[factor]
        self.conv = nn.Conv2d(channels_in, stem, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(stem)
        self.layer1 = _group(stem, widths[0], blocks, stride=1)
        self.layer2 = _group(widths[0], widths[1], blocks, stride=2)
        self.layer3 = _group(widths[1], widths[2], blocks, stride=2)
        self.head = nn.Linear(widths[2], classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the convolutions anew; the other layers have a reset of their own."""
        draw_convolutions(self)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, channels_in, S, S), 8 <= S <= 64, to `Outputs`."""
        return run_groups(self, F.relu(self.bn(self.conv(images))))


def build(blocks: int, factor: int, classes: int, channels: int) -> ResNet:
    """Return the network with `blocks` per group, `factor` times as wide."""
    return ResNet(blocks, classes, channels, factor)


def _group(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1)))
