"""The outputs of every network for a distillation method: logits and named features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import torch
from torch import Tensor, nn

from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import ConfigError


@dataclass(frozen=True)
class Outputs:
    """One forward pass.

    `logits`: (batch, classes). `features`: name -> tensor, in order from input to output; maps
    are (batch, channels, height, width) and `pooled` is (batch, channels), the penultimate
    embedding that the classifier head reads.
    """

    logits: Tensor
    features: dict[str, Tensor]

    def float(self) -> Outputs:
        """Return the same outputs in float32 (no copy if they already are)."""
        return Outputs(self.logits.float(), {k: v.float() for k, v in self.features.items()})

    def detach(self) -> Outputs:
        """Return the same outputs detached from their graph."""
        return Outputs(self.logits.detach(), {k: v.detach() for k, v in self.features.items()})


class Network(nn.Module):
    """A classifier whose forward returns `Outputs` and whose `head` maps `pooled` to logits.

    `groups` names the feature maps that multi-layer methods match, from input to output. While
    `preactivations` is set, a network whose groups end in ReLU gives the map before it as well, as
    the feature `GROUP_preact`.
    """

    groups: tuple[str, ...]
    head: nn.Module
    preactivations: bool = False

    def forward(self, images: Tensor) -> Outputs:
        """Map images (batch, channels, height, width) to `Outputs`."""
        raise NotImplementedError


def renormalise(
    network: Network, spec: DatasetSpec, mean: Sequence[float], std: Sequence[float]
) -> None:
    """Let a network see images normalised by its own mean and deviation per channel.

    Images come normalised by those of the dataset. The state dict does not change. Raises
    ConfigError unless there is one mean per channel.
    """
    if len(mean) != spec.channels:
        raise ConfigError(
            f"`normalise` has {len(mean)} means, but {spec.name} has {spec.channels} channels",
            "give one mean and one standard deviation per channel",
        )
    shape = (1, spec.channels, 1, 1)
    own_mean, own_std, mean_, std_ = (
        torch.tensor(values, dtype=torch.float64).view(shape)
        for values in (spec.mean, spec.std, mean, std)
    )
    if torch.equal(own_mean, mean_) and torch.equal(own_std, std_):
        return
    network.register_buffer("input_scale", (own_std / std_).float(), persistent=False)
    network.register_buffer("input_shift", ((own_mean - mean_) / std_).float(), persistent=False)
    network.register_forward_pre_hook(_renormalised)


def _renormalised(network: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    scale, shift = network.get_buffer("input_scale"), network.get_buffer("input_shift")
    return (inputs[0] * scale + shift, *inputs[1:])


@dataclass(frozen=True)
class Shapes:
    """The shapes a network produces for one image, without the batch dimension.

    `pooled_map` is the feature map whose mean over positions is `pooled`, if there is one.
    """

    classes: int
    features: dict[str, tuple[int, ...]]
    groups: tuple[str, ...]
    pooled_map: str | None = None


def looks_channels_last(feature: Tensor) -> bool:
    """Return whether a map's shape is (batch, size, size, channels); maps are square."""
    return feature.dim() == 4 and feature.shape[1] == feature.shape[2] != feature.shape[3]


def require_separate(module: nn.Module, whose: str) -> None:
    """Raise ConfigError if two entries of a state dict are one tensor, which cannot be saved."""
    seen: dict[int, str] = {}
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor) or not value.numel():
            continue
        if (first := seen.setdefault(value.data_ptr(), name)) != name:
            raise ConfigError(
                f"{whose}: {first} and {name} are one tensor; a weight file holds each tensor "
                "under one name only",
                "register a module once: instead of `self.head = self.net.fc` write a property "
                "`head` that returns self.net.fc",
            )


def fingerprint(*modules: nn.Module) -> str:
    """Return the SHA-256 over every parameter and buffer of the modules, in order."""
    digest = sha256()
    values = [value.detach() for module in modules for value in module.state_dict().values()]
    if values and all(value.is_cuda for value in values):  # one copy instead of hundreds
        values = [torch.cat([value.contiguous().view(-1).view(torch.uint8) for value in values])]
    for value in values:
        digest.update(value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
