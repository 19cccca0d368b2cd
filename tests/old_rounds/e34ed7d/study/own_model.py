"""A small network: two convolutions with batch norm, a pooled embedding, a linear head."""

import torch
from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs


class Small(Network):
    """Feature maps `first` and `second`, halved in between."""

    groups = ("first", "second")

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, 16, 3, padding=1), nn.BatchNorm2d(16))
        self.second = nn.Sequential(nn.Conv2d(16, 32, 3, 2, padding=1), nn.BatchNorm2d(32))
        self.head = nn.Linear(32, classes)

    def forward(self, images: Tensor) -> Outputs:
        """What methods see: the logits, both maps and `pooled`, which the head reads."""
        first = torch.relu(self.first(images))
        second = torch.relu(self.second(first))
        pooled = second.mean(dim=(2, 3))
        return Outputs(self.head(pooled), {"first": first, "second": second, "pooled": pooled})


def build(classes: int, channels: int) -> Network:
    """A fresh network for images of `channels` channels, of any size."""
    return Small(classes, channels)
