"""Variational information distillation (Ahn et al. 2019, arXiv:1904.05835, equations 5 and 6).

The form and the weight 1 are the CRD benchmark's (RepDistiller, `VID.py`, from the authors' code).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import (
    LayerPair,
    in_full_precision,
    map_shape,
    pair_groups,
    per_pair,
    pool_to_smaller,
)
from stillhouse.models.base import Outputs, Shapes

FIRST_VARIANCE, MIN_VARIANCE = 5.0, 1e-5


@in_full_precision
def likelihood_loss(mean: Tensor, teacher: Tensor, variance: Tensor) -> Tensor:
    """Return the mean of ((F_t - mean)^2 / variance + log variance) / 2.

    Maps are (batch, c, h, w), the variance is (c,). It is the negative log likelihood of a
    Gaussian, less a constant, and may be negative.
    """
    variance = variance.view(1, -1, 1, 1)
    return 0.5 * ((mean - teacher).square() / variance + variance.log()).mean()


class GaussianRegressor(nn.Module):
    """A Gaussian over the teacher's map: its mean from the student's, a variance per channel."""

    def __init__(self, student_channels: int, teacher_channels: int) -> None:
        super().__init__()
        widths = (student_channels, teacher_channels, teacher_channels)
        convs = [nn.Conv2d(width, teacher_channels, 1, bias=False) for width in widths]
        self.mean = nn.Sequential(convs[0], nn.ReLU(), convs[1], nn.ReLU(), convs[2])
        start = math.log(math.expm1(FIRST_VARIANCE - MIN_VARIANCE))
        self.scale = nn.Parameter(torch.full((teacher_channels,), start))

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss between two (batch, channels, h, w) maps; the larger is pooled."""
        student, teacher = pool_to_smaller(student, teacher)
        variance = F.softplus(self.scale) + MIN_VARIANCE
        return likelihood_loss(self.mean(student), teacher, variance)


class Vid(Method):
    """Make the teacher's maps likely given the student's: one term `vid_LAYER` for each pair.

    Groups are paired as `connectors.pair_groups` says; all share the coefficient of `vid`.
    """

    label = "VID"
    family = "maps"
    mixed_images = True
    capturable = True
    card = Card(
        formula="vid_L = mean ((F_t - R(F_s))^2 / v + log v) / 2, v trained per channel, summed",
        layers="all groups, paired from input to output",
        hazards=(
            "the term may be negative, so its size says little: look at how it falls",
            "code that leaves the variances out of the optimizer trains another loss",
        ),
    )

    class Config(MethodConfig):
        """`weight` of each pair's term; `layers` are pairs (student's, teacher's) of maps."""

        weight: PositiveFloat = 1.0
        layers: tuple[LayerPair, ...] | None = None

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        self.pairs = pair_groups(student, teacher, config.layers)
        self.regressors = nn.ModuleList(
            GaussianRegressor(
                map_shape(student, s, "student")[0], map_shape(teacher, t, "teacher")[0]
            )
            for s, t in self.pairs
        )

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + the sum over groups."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"vid": config.weight})

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """Every pair's term has the coefficient of `vid`."""
        return per_pair(coefficients, "vid", [f"vid_{layer}" for layer, _ in self.pairs])

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return one term per pair."""
        return {
            f"vid_{s}": regressor(student.features[s], teacher.features[t])
            for (s, t), regressor in zip(self.pairs, self.regressors, strict=True)
        }
