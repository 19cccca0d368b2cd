"""Wide residual networks (Zagoruyko and Komodakis 2016, arXiv:1605.07146) for small images.

Blocks put batch norm and ReLU before each convolution, so a group's map is a sum that has negative
values. wrn_40_2 has depth 40 and twice the channels of wrn_40_1. As in the CRD benchmark.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs
from stillhouse.models.layers import PREACTIVATION, draw_convolutions

CHANNELS = (16, 32, 64)


class WideBlock(nn.Module):
    """Two 3x3 convolutions, each after batch norm and ReLU, and a shortcut."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels_in)
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.shortcut: nn.Module | None = None
        if channels_in != channels:
            self.shortcut = nn.Conv2d(channels_in, channels, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels, h / stride, w / stride)."""
        active = F.relu(self.bn1(x))
        out = self.conv2(F.relu(self.bn2(self.conv1(active))))
        return out + (x if self.shortcut is None else self.shortcut(active))  # type: ignore[no-any-return]


class WideResNet(Network):
    """A wide residual network for images of 8 to 64 pixels.

    Features for an S x S image and width w: `stem` (16, S, S), `layer1` (16 w, S, S), `layer2`
    (32 w, S/2, S/2), `layer3` (64 w, S/4, S/4), `last`, which is layer3 after batch norm and ReLU,
    and its mean `pooled`.
    """

    groups = ("layer1", "layer2", "layer3")
    head: nn.Linear

    def __init__(self, depth: int, width: int, classes: int, channels_in: int) -> None:
        super().__init__()
        blocks = (depth - 4) // 6
        widths = [channels * width for channels in CHANNELS]
        self.conv = nn.Conv2d(channels_in, CHANNELS[0], 3, padding=1, bias=False)
        self.layer1 = _group(CHANNELS[0], widths[0], blocks, stride=1)
        self.layer2 = _group(widths[0], widths[1], blocks, stride=2)
        self.layer3 = _group(widths[1], widths[2], blocks, stride=2)
        self.bn = nn.BatchNorm2d(widths[2])
        self.head = nn.Linear(widths[2], classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the convolutions anew and set the classifier's bias to 0."""
        draw_convolutions(self)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, channels_in, S, S) to `Outputs`."""
        features = {"stem": self.conv(images)}
        features["layer1"] = self.layer1(features["stem"])
        features["layer2"] = self.layer2(features["layer1"])
        features["layer3"] = self.layer3(features["layer2"])
        before = self.bn(features["layer3"])
        if self.preactivations:  # as the benchmark has them: through the next batch norm
            features[PREACTIVATION.format("layer1")] = _first_norm(self.layer2)(features["layer1"])
            features[PREACTIVATION.format("layer2")] = _first_norm(self.layer3)(features["layer2"])
            features[PREACTIVATION.format("layer3")] = before
        features["last"] = F.relu(before)
        features["pooled"] = features["last"].mean(dim=(2, 3))
        return Outputs(self.head(features["pooled"]), features)


def build(depth: int, width: int, classes: int, channels: int) -> WideResNet:
    """Return the network of a depth, 6 n + 4, and a width factor."""
    return WideResNet(depth, width, classes, channels)


def _group(channels_in: int, channels: int, blocks: int, stride: int) -> nn.Sequential:
    first = WideBlock(channels_in, channels, stride)
    return nn.Sequential(first, *(WideBlock(channels, channels, 1) for _ in range(blocks - 1)))


def _first_norm(group: nn.Sequential) -> nn.Module:
    first = group[0]
    assert isinstance(first, WideBlock)
    return first.bn1
