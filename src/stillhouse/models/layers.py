"""What networks of several families share: blocks that end in ReLU, and how weights are drawn."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.models.base import Network, Outputs

PREACTIVATION = "{}_preact"  # the name of a group's map before its last ReLU


class Block(nn.Module):
    """A part of a group that ends in ReLU."""

    def before(self, x: Tensor) -> Tensor:
        """Return the map before the last ReLU."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's map."""
        return F.relu(self.before(x))


def run_group(group: nn.Sequential, name: str, x: Tensor, preactivation: bool) -> dict[str, Tensor]:
    """Return the map `name` of a group of `Block`s, and if asked the one before its last ReLU."""
    if not preactivation:
        return {name: group(x)}
    *blocks, last = group
    for block in blocks:
        x = block(x)
    assert isinstance(last, Block)
    before = last.before(x)
    return {PREACTIVATION.format(name): before, name: F.relu(before)}


def run_groups(network: Network, stem: Tensor) -> Outputs:
    """Return the outputs of a network whose groups are `Block`s, from its stem's map on."""
    x, features = stem, {"stem": stem}
    for name in network.groups:
        features |= run_group(getattr(network, name), name, x, network.preactivations)
        x = features[name]
    features["pooled"] = x.mean(dim=(2, 3))
    return Outputs(network.head(features["pooled"]), features)


def draw_convolutions(network: nn.Module) -> None:
    """Draw all convolutions from normal distributions of variance 2 / fan-out; biases are 0.

    He et al. 2015, arXiv:1502.01852; what the CRD benchmark uses.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Return (batch, channels, h, w) with the channels of equally large groups interleaved."""
    batch, channels, height, width = x.shape
    split = x.view(batch, groups, channels // groups, height, width)
    return split.transpose(1, 2).reshape(batch, channels, height, width)
