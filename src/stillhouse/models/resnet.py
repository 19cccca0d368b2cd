"""CIFAR-style residual networks (He et al. 2016, arXiv:1512.03385, section 4.2).

Three groups of basic blocks with 16, 32 and 64 channels; the second and third halve the map.
Shortcuts that change shape are 1x1 projections, so ResNet112 (18 blocks a group) is the network
the field calls resnet110, with 1,736,564 parameters at 100 classes.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs

CHANNELS = (16, 32, 64)


class BasicBlock(nn.Module):
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

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels, h / stride, w / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(Network):
    """A residual network for images of 8 to 64 pixels.

    Features for an S x S image (B = batch): `stem` and `layer1` (B, 16, S, S), `layer2`
    (B, 32, S/2, S/2), `layer3` (B, 64, S/4, S/4), `pooled` (B, 64); logits (B, classes).
    """

    groups = ("layer1", "layer2", "layer3")

    def __init__(self, blocks: int, classes: int, channels_in: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, CHANNELS[0], 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(CHANNELS[0])
        self.layer1 = _group(CHANNELS[0], CHANNELS[0], blocks, stride=1)
        self.layer2 = _group(CHANNELS[0], CHANNELS[1], blocks, stride=2)
        self.layer3 = _group(CHANNELS[1], CHANNELS[2], blocks, stride=2)
        self.head = nn.Linear(CHANNELS[2], classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialise the convolutions again; the other layers have their own reset."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, channels_in, S, S), 8 <= S <= 64, to `Outputs`."""
        features = {"stem": F.relu(self.bn(self.conv(images)))}
        features["layer1"] = self.layer1(features["stem"])
        features["layer2"] = self.layer2(features["layer1"])
        features["layer3"] = self.layer3(features["layer2"])
        features["pooled"] = features["layer3"].mean(dim=(2, 3))
        return Outputs(self.head(features["pooled"]), features)


def _group(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(channels_in, channels, stride)
    return nn.Sequential(first, *(BasicBlock(channels, channels, 1) for _ in range(blocks - 1)))
