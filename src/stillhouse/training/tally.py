"""Running sums over the steps of an epoch; part of the checkpoint, so an epoch can be resumed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor


@dataclass
class Tally:
    """What has been summed since the epoch began.

    `origin` is the network's parameters at its start, as one vector; `balance` the gradient
    norms of its first step, `seconds` the time spent on this network alone, `hashes` those of the
    weights after some numbers of steps.
    """

    origin: Tensor
    sums: dict[str, Tensor] = field(default_factory=dict)
    seen: int = 0
    skipped: int = 0
    seconds: float = 0.0
    balance: dict[str, float] = field(default_factory=dict)
    hashes: dict[str, str] = field(default_factory=dict)

    def add(self, values: dict[str, Tensor], images: int) -> None:
        """Add one step's means over `images` images, in float64 on their device."""
        for name, value in values.items():
            weighted = value.detach().double() * images
            self.sums[name] = self.sums[name] + weighted if name in self.sums else weighted
        self.seen += images

    def means(self) -> dict[str, float]:
        """The mean of each value over the images seen."""
        return {name: float(value) / self.seen for name, value in self.sums.items()}

    def update_ratio(self, parameters: Tensor) -> float:
        """How far the parameters have moved, relative to their norm at the start."""
        return float((parameters - self.origin).norm() / self.origin.norm())

    def state(self) -> dict[str, Any]:
        """Tensors and plain values."""
        return vars(self).copy()

    @classmethod
    def load(cls, state: dict[str, Any], device: torch.device) -> Tally:
        """The tally of a `state`, on a device."""
        sums = {name: value.to(device) for name, value in state["sums"].items()}
        return cls(**{**state, "origin": state["origin"].to(device), "sums": sums})
