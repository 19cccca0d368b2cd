"""MobileNetV2 of half width (Sandler et al. 2018, arXiv:1801.04381) for 32 pixels.

As in the CRD benchmark (`mobile_half`): the first block expands too, channels are not rounded to
multiples of 8, the last map has 1280 channels, and the second change of size is left out. So it
has 812,836 parameters at 100 classes where torchvision's has 815,780.
"""

from __future__ import annotations

from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs
from stillhouse.models.layers import draw_convolutions

EXPANSION, LAST = 6, 1280
STEM = 16
STAGES = (  # expansion, channels, blocks, stride
    (1, 8, 1, 1),
    (EXPANSION, 12, 2, 1),
    (EXPANSION, 16, 3, 2),
    (EXPANSION, 32, 4, 2),
    (EXPANSION, 48, 3, 1),
    (EXPANSION, 80, 3, 2),
    (EXPANSION, 160, 1, 1),
)
ENDS = {1: "layer1", 2: "layer2", 4: "layer3", 6: "layer4"}  # the stages whose maps are tapped


class InvertedResidual(nn.Module):
    """Expand 1x1, convolve 3x3 by channel, project 1x1 without ReLU; a shortcut where it fits."""

    def __init__(self, channels_in: int, channels: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = channels_in * expansion
        self.adds = stride == 1 and channels_in == channels
        self.conv = nn.Sequential(
            nn.Conv2d(channels_in, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.ReLU(),
            nn.Conv2d(wide, channels, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, channels_in, h, w) to (batch, channels, h / stride, w / stride)."""
        out: Tensor = self.conv(x)
        return x + out if self.adds else out


class MobileNetV2(Network):
    """MobileNetV2 of half width.

    Features for 32 x 32 images: `stem` (16, 16, 16), `layer1` (12, 16, 16), `layer2` (16, 8, 8),
    `layer3` (48, 4, 4), `layer4` (160, 2, 2), `last` (1280, 2, 2), `pooled` (1280). The four layers
    are linear and have negative values.
    """

    groups = ("layer1", "layer2", "layer3", "layer4")
    head: nn.Linear

    def __init__(self, classes: int, channels_in: int) -> None:
        super().__init__()
        self.stem = _conv(channels_in, STEM, 3, stride=2)
        self.stages = nn.ModuleList()
        before = STEM
        for expansion, channels, blocks, stride in STAGES:
            stage = []
            for number in range(blocks):
                stage.append(InvertedResidual(before, channels, 1 if number else stride, expansion))
                before = channels
            self.stages.append(nn.Sequential(*stage))
        self.last = _conv(before, LAST, 1, stride=1)
        self.head = nn.Linear(LAST, classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the convolutions and the classifier anew."""
        draw_convolutions(self)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, channels_in, S, S) to `Outputs`."""
        x = self.stem(images)
        features: dict[str, Tensor] = {"stem": x}
        for number, stage in enumerate(self.stages):
            x = stage(x)
            if number in ENDS:
                features[ENDS[number]] = x
        features["last"] = self.last(x)
        features["pooled"] = features["last"].mean(dim=(2, 3))
        return Outputs(self.head(features["pooled"]), features)


def build(classes: int, channels: int) -> MobileNetV2:
    """Return the network of the benchmark."""
    return MobileNetV2(classes, channels)


def _conv(channels_in: int, channels: int, size: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels, size, stride, padding=size // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())
