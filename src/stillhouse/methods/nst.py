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

from stillhouse.methods.base import Card
from stillhouse.methods.connectors import PairedMaps, in_full_precision, pool_to_smaller


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


class Nst(PairedMaps):
    """Match the distribution of channel activations: one term `nst_LAYER` per pair of groups,
    summed.
    """

    label = "NST"
    term = "nst"
    loss = staticmethod(selectivity_loss)
    card = Card(
        formula="nst_L = MMD^2 of unit channel maps under (x . y)^2, summed over pairs L",
        layers="all groups, paired from input to output",
        hazards=("the three kernel means nearly cancel: float16 sums lose the difference",),
    )

    class Config(PairedMaps.Config):
        """The published weight."""

        weight: PositiveFloat = 50.0
