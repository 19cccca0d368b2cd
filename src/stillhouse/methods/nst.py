"""Neuron selectivity transfer (Huang and Wang 2017, arXiv:1707.01219, equations 4-6).

Squared maximum mean discrepancy, with the kernel (x . y)^2, between the channels of two maps.
The weight 50 is the authors' (TuSimple/neuron-selectivity-transfer, `config/cfgs.py`); the sum
over three groups is the CRD benchmark's.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import (
    LayerPair,
    in_full_precision,
    pair_groups,
    per_pair,
    pool_to_smaller,
)
from stillhouse.models.base import Outputs, Shapes


@in_full_precision
def selectivity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over the batch of the MMD^2 of (batch, channels, h, w) maps' normalised
    channels.

    Channels and sizes may differ; the larger map is average-pooled. Two equal forms exist and the
    cheaper is computed: the kernel's means, or || S'S / C_s - T'T / C_t ||^2 over pixels.
    """
    student, teacher = pool_to_smaller(student, teacher)
    s, t = F.normalize(student.flatten(2), dim=2), F.normalize(teacher.flatten(2), dim=2)
    (c_s, pixels), c_t = s.shape[1:], t.shape[1]
    if pixels * (c_s + c_t) < c_s**2 + c_t**2 + c_s * c_t:
        return discrepancy_over_pixels(s, t)
    return discrepancy_over_channels(s, t)


def discrepancy_over_channels(s: Tensor, t: Tensor) -> Tensor:
    """Return MMD^2 of (batch, channels, pixels) sets from their channel-by-channel kernels.

    The three means nearly cancel, so they are summed in float64.
    """
    total = _mean_kernel(s, s) + _mean_kernel(t, t) - 2 * _mean_kernel(s, t)
    return total.to(s.dtype)


def _mean_kernel(a: Tensor, b: Tensor) -> Tensor:
    return torch.bmm(a, b.transpose(1, 2)).square().mean(dtype=torch.float64)


def discrepancy_over_pixels(s: Tensor, t: Tensor) -> Tensor:
    """Return the same from the pixel-by-pixel Gram matrices: never negative."""
    gram_s = torch.bmm(s.transpose(1, 2), s) / s.shape[1]
    gram_t = torch.bmm(t.transpose(1, 2), t) / t.shape[1]
    return (gram_s - gram_t).square().sum(dim=(1, 2)).mean()


class Nst(Method):
    """Match the distribution of channel activations: one term `nst_LAYER` per pair of groups,
    summed.

    `connectors.pair_groups` pairs the groups; all share the coefficient of `nst`.
    """

    label = "NST"
    family = "maps"
    mixed_images = True
    capturable = True
    card = Card(
        formula="nst_L = MMD^2 of unit channel maps under (x . y)^2, summed over pairs L",
        layers="all groups, paired from input to output",
        hazards=("the three kernel means nearly cancel: float16 sums lose the difference",),
    )

    class Config(MethodConfig):
        """`weight` of each pair's term; `layers` are pairs (student's, teacher's) of maps."""

        weight: PositiveFloat = 50.0
        layers: tuple[LayerPair, ...] | None = None

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        pairs = pair_groups(student, teacher, config.layers)
        self.pairs = {f"nst_{pair[0]}": pair for pair in pairs}

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 50 times the sum over groups."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"nst": config.weight})

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """Give every pair's term the coefficient of `nst`."""
        return per_pair(coefficients, "nst", self.pairs)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return one term per pair."""
        return {
            name: selectivity_loss(student.features[s], teacher.features[t])
            for name, (s, t) in self.pairs.items()
        }
