"""VGG networks (Simonyan and Zisserman 2015, arXiv:1409.1556) for small images.

As in the CRD benchmark: batch norm, one linear layer on the mean of the last map, and no pooling
before the fifth group unless images have 64 pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs
from stillhouse.models.layers import PREACTIVATION, draw_convolutions

CHANNELS = (64, 128, 256, 512, 512)
LARGE = 64  # pixels from which the fourth group is pooled too


class Vgg(Network):
    """A VGG network for images of 8 to 64 pixels.

    Features for an S x S image: `stem` (64, S, S), `layer1` (128, S/2, S/2), `layer2`
    (256, S/4, S/4), `layer3` and `layer4` (512, S/8, S/8), `pooled` (512).
    """

    groups = ("layer1", "layer2", "layer3", "layer4")
    head: nn.Linear

    def __init__(self, convolutions: tuple[int, ...], classes: int, channels_in: int) -> None:
        super().__init__()
        widths = (channels_in, *CHANNELS)
        self.blocks = nn.ModuleList(
            _group(before, after, count)
            for before, after, count in zip(widths, CHANNELS, convolutions, strict=False)
        )
        self.head = nn.Linear(CHANNELS[-1], classes)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the convolutions and the classifier anew."""
        draw_convolutions(self)
        nn.init.normal_(self.head.weight, std=0.01)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (B, channels_in, S, S) to `Outputs`."""
        features: dict[str, Tensor] = {}
        x = images
        for number, (name, block) in enumerate(
            zip(("stem", *self.groups), self.blocks, strict=True)
        ):
            if 0 < number < 4 or (number == 4 and images.shape[2] >= LARGE):
                x = F.max_pool2d(x, 2)
            before = block(x)
            if self.preactivations and number:
                features[PREACTIVATION.format(name)] = before
            x = features[name] = F.relu(before)
        features["pooled"] = x.mean(dim=(2, 3))
        return Outputs(self.head(features["pooled"]), features)


def build(*arguments: int) -> Vgg:
    """Return the network with so many convolutions in its five groups, for classes and channels."""
    *convolutions, classes, channels = arguments
    return Vgg(tuple(convolutions), classes, channels)


def _group(channels_in: int, channels: int, count: int) -> nn.Sequential:
    """Convolutions with batch norm, and ReLU between them."""
    layers: list[nn.Module] = []
    for number in range(count):
        layers += [nn.ReLU()] if number else []
        layers.append(nn.Conv2d(channels if number else channels_in, channels, 3, padding=1))
        layers.append(nn.BatchNorm2d(channels))
    return nn.Sequential(*layers)
