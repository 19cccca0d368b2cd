"""ShuffleNet (Zhang et al. 2018, arXiv:1707.01083) for 32 pixels, as in the CRD benchmark.

Three groups of channels, a 1x1 stem, and no pooling after it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs
from stillhouse.models.layers import Block, run_groups, shuffled

STEM, SPLIT = 24, 3
GROUPS = ((240, 4), (480, 8), (960, 4))  # channels and blocks


class ShuffleBlock(Block):
    """1x1 by groups, shuffle, 3x3 by channel, 1x1 by groups; a shortcut, joined where it halves."""

    def __init__(self, channels_in: int, channels: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        made = channels - channels_in if halve else channels
        middle = made // 4
        self.split = 1 if channels_in == STEM else SPLIT
        self.conv1 = nn.Conv2d(channels_in, middle, 1, groups=self.split, bias=False)
        self.bn1 = nn.BatchNorm2d(middle)
        stride = 2 if halve else 1
        self.conv2 = nn.Conv2d(middle, middle, 3, stride, padding=1, groups=middle, bias=False)
        self.bn2 = nn.BatchNorm2d(middle)
        self.conv3 = nn.Conv2d(middle, made, 1, groups=SPLIT, bias=False)
        self.bn3 = nn.BatchNorm2d(made)

    def before(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels, h, w), halved if it halves."""
        out = shuffled(F.relu(self.bn1(self.conv1(x))), self.split)
        out = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(out)))))
        if self.halve:
            return torch.cat([out, F.avg_pool2d(x, 3, stride=2, padding=1)], dim=1)
        return out + x  # type: ignore[no-any-return]


class ShuffleV1(Network):
    """ShuffleNet with three groups.

    Features for an S x S image: `stem` (24, S, S), `layer1` (240, S/2, S/2), `layer2`
    (480, S/4, S/4), `layer3` (960, S/8, S/8), `pooled` (960).
    """

    groups = ("layer1", "layer2", "layer3")

    def __init__(self, classes: int, channels_in: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, STEM, 1, bias=False)
        self.bn = nn.BatchNorm2d(STEM)
        self.layer1, self.layer2, self.layer3 = (
            _group(before, channels, blocks)
            for before, (channels, blocks) in zip((STEM, 240, 480), GROUPS, strict=True)
        )
        self.head = nn.Linear(GROUPS[-1][0], classes)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, channels_in, S, S) to `Outputs`."""
        return run_groups(self, F.relu(self.bn(self.conv(images))))


def build(classes: int, channels: int) -> ShuffleV1:
    """Return the network of the benchmark."""
    return ShuffleV1(classes, channels)


def _group(channels_in: int, channels: int, blocks: int) -> nn.Sequential:
    first = ShuffleBlock(channels_in, channels, halve=True)
    rest = (ShuffleBlock(channels, channels, halve=False) for _ in range(blocks - 1))
    return nn.Sequential(first, *rest)
