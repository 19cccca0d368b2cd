"""Attention transfer (Zagoruyko and Komodakis 2017, arXiv:1612.03928, equation 2).

The form and the weight 1000 are those of the authors' code (szagoruyko/attention-transfer,
`utils.py`), which the CRD benchmark shares. The paper's beta / 2 of about 0.1 is the same weight
after division by the number of pixels.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.methods.base import Card
from stillhouse.methods.connectors import PairedMaps, in_full_precision, pool_to_smaller


@in_full_precision
def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of the attention of two (batch, channels, h, w) maps.

    Channels and sizes may differ; the larger map is average-pooled.
    """
    student, teacher = pool_to_smaller(student, teacher)
    return (attention(student) - attention(teacher)).square().mean()


def attention(x: Tensor) -> Tensor:
    """Return mean squares over channels, L2-normalised: (batch, c, h, w) to (batch, h * w)."""
    return F.normalize(x.square().mean(dim=1).flatten(1))


class AttentionTransfer(PairedMaps):
    """Match the spatial attention of each group: one term `at_LAYER` per pair of groups, summed."""

    label = "Attention Transfer"
    term = "at"
    loss = staticmethod(attention_loss)
    card = Card(
        formula="at_L = mean (unit(mean_c F_s^2) - unit(mean_c F_t^2))^2, summed over pairs L",
        layers="all groups, paired from input to output",
        hazards=(
            (
                "weight 1000 multiplies a mean over batch and pixels: the paper's 0.1 is a "
                "sum over pixels"
            ),
            "squares overflow float16 from 256 on, so it is computed in float32",
        ),
    )

    class Config(PairedMaps.Config):
        """The published weight."""

        weight: PositiveFloat = 1000.0
