"""Attention transfer (Zagoruyko and Komodakis 2017, arXiv:1612.03928, equation 2).

The form and the weight 1000 are those of the authors' code (szagoruyko/attention-transfer,
`utils.py`), which the CRD benchmark shares. The paper's beta / 2 of about 0.1 is the same weight
after division by the number of pixels.
"""

from __future__ import annotations

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
def attention_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of the attention of two (batch, channels, h, w) maps.

    Channels and sizes may differ; the larger map is average-pooled.
    """
    student, teacher = pool_to_smaller(student, teacher)
    return (attention(student) - attention(teacher)).square().mean()


def attention(x: Tensor) -> Tensor:
    """Return mean squares over channels, L2-normalised: (batch, c, h, w) to (batch, h * w)."""
    return F.normalize(x.square().mean(dim=1).flatten(1))


class AttentionTransfer(Method):
    """Match the spatial attention of each group: one term `at_LAYER` per pair of groups, summed.

    `connectors.pair_groups` pairs the groups; all share the coefficient of `at`.
    """

    label = "Attention Transfer"
    family = "maps"
    mixed_images = True
    capturable = True
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

    class Config(MethodConfig):
        """`weight` of each pair's term; `layers` are pairs (student's, teacher's) of maps."""

        weight: PositiveFloat = 1000.0
        layers: tuple[LayerPair, ...] | None = None

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        pairs = pair_groups(student, teacher, config.layers)
        self.pairs = {f"at_{pair[0]}": pair for pair in pairs}

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 1000 times the sum over groups."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"at": config.weight})

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """Give every pair's term the coefficient of `at`."""
        return per_pair(coefficients, "at", self.pairs)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return one term per pair."""
        return {
            name: attention_loss(student.features[s], teacher.features[t])
            for name, (s, t) in self.pairs.items()
        }
