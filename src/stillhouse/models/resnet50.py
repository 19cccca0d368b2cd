"""ResNet50 (He et al. 2016, arXiv:1512.03385, section 4.1) for 32 pixels.

torchvision's blocks with a 3x3 stem and no pooling after it, which is the CRD benchmark's network:
the same parameters and logits.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck

from stillhouse.models.base import Network, Outputs
from stillhouse.models.layers import Block, draw_convolutions, run_groups

STEM = 64
GROUPS = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # channels, blocks, stride


class OpenBottleneck(Block):
    """torchvision's block, whose last ReLU can be left out."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        made, shortcut = channels * Bottleneck.expansion, None
        if stride != 1 or channels_in != made:
            convolution = nn.Conv2d(channels_in, made, 1, stride, bias=False)
            shortcut = nn.Sequential(convolution, nn.BatchNorm2d(made))
        self.block = Bottleneck(channels_in, channels, stride, shortcut)

    def before(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, h, w) to (batch, 4 channels, h / stride, w / stride)."""
        block = self.block
        out = F.relu(block.bn1(block.conv1(x)))
        out = F.relu(block.bn2(block.conv2(out)))
        out = block.bn3(block.conv3(out))
        return out + (x if block.downsample is None else block.downsample(x))  # type: ignore[no-any-return]


class ResNet50(Network):
    """ResNet50 for small images.

    Features for an S x S image: `stem` (64, S, S), `layer1` (256, S, S), `layer2` (512, S/2, S/2),
    `layer3` (1024, S/4, S/4), `layer4` (2048, S/8, S/8), `pooled` (2048).
    """

    groups = ("layer1", "layer2", "layer3", "layer4")

    def __init__(self, classes: int, channels_in: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, STEM, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(STEM)
        before = STEM
        for name, (channels, blocks, stride) in zip(self.groups, GROUPS, strict=True):
            first = OpenBottleneck(before, channels, stride)
            before = channels * Bottleneck.expansion
            rest = (OpenBottleneck(before, channels, 1) for _ in range(blocks - 1))
            self.add_module(name, nn.Sequential(first, *rest))
        self.head = nn.Linear(before, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the convolutions anew; the other layers have a reset of their own."""
        draw_convolutions(self)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, channels_in, S, S) to `Outputs`."""
        return run_groups(self, F.relu(self.bn(self.conv(images))))


def build(classes: int, channels: int) -> ResNet50:
    """Return the network of the benchmark."""
    return ResNet50(classes, channels)
