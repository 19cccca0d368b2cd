"""A network unlike the others: four groups of odd channels and sizes."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs

CHANNELS = (12, 20, 28, 36)
KERNELS = (2, 3, 3, 2)


class Uneven(Network):
    """Unpadded convolutions: maps of S-1, S-3, S-5 and S-6 pixels from images of S >= 8."""

    groups = ("a", "b", "c", "d")

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        shapes = zip((channels, *CHANNELS), CHANNELS, KERNELS, strict=False)
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, bias=False) for i, o, k in shapes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for o in CHANNELS)
        self.head = nn.Linear(CHANNELS[-1], classes)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (batch, channels, S, S) to `Outputs`."""
        x, features = images, {}
        for name, conv, norm in zip(self.groups, self.convs, self.norms, strict=True):
            x = features[name] = F.relu(norm(conv(x)))
        features["pooled"] = x.mean(dim=(2, 3))
        return Outputs(self.head(features["pooled"]), features)


def build(classes: int, channels: int) -> Network:
    """Return a newly initialised network, like a custom component."""
    return Uneven(classes, channels)
