"""Knowledge review (Chen et al. 2021, arXiv:2104.09044, equations 5 to 8).

From the deepest level up, the student's map is fused with what the level below gave (attention
based fusion), and compared with the teacher's map at four scales (hierarchical context loss). The
fourth level is `pooled`. Form, weight and warm-up are the authors' (dvlab-research/ReviewKD,
`CIFAR-100/model/reviewkd.py`, and mdistiller): the teacher's maps before their last ReLU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import (
    BatchNorm,
    LayerPair,
    MapShape,
    in_full_precision,
    map_shape,
    pair_groups,
    per_pair,
)
from stillhouse.methods.objective import ramped
from stillhouse.models.base import Outputs, Shapes
from stillhouse.models.layers import PREACTIVATION

SCALES = (4, 2, 1)  # each weighs half of the one before
MOST_CHANNELS = 512


@in_full_precision
def context_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of two maps at their size and pooled to 4, 2 and 1.

    Scales not below the size are left out; weights 1, 1/2, 1/4, 1/8 are divided by their sum.
    """
    loss, weight, total = F.mse_loss(student, teacher), 1.0, 1.0
    for scale in (scale for scale in SCALES if scale < student.shape[2]):
        weight /= 2
        total += weight
        s, t = (F.adaptive_avg_pool2d(x, scale) for x in (student, teacher))
        loss = loss + weight * F.mse_loss(s, t)
    return loss / total


class Fusion(nn.Module):
    """One level: the student's map, fused with the deeper level's, regressed to the teacher's."""

    def __init__(self, student: int, middle: int, teacher: MapShape, fuse: bool) -> None:
        super().__init__()
        self.size = teacher[1:]
        self.reduce = _normed(student, middle, 1)
        self.regress = _normed(middle, teacher[0], 3)
        self.attend = nn.Conv2d(2 * middle, 2, 1) if fuse else None
        for part in (self.reduce, self.regress):
            nn.init.kaiming_uniform_(part.get_parameter("0.weight"), a=1)

    def forward(self, x: Tensor, deeper: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the regressed map and the fused one, both with the teacher's height and width."""
        x = self.reduce(x)
        if self.attend is not None:
            assert deeper is not None
            deeper = F.interpolate(deeper, x.shape[2:], mode="nearest")
            share = self.attend(torch.cat([x, deeper], dim=1)).sigmoid()
            x = x * share[:, :1] + deeper * share[:, 1:]
        if x.shape[2:] != self.size:
            x = F.interpolate(x, self.size, mode="nearest")
        return self.regress(x), x


class Reviewkd(Method):
    """Review shallow maps of the teacher with deep ones of the student: `review_LAYER`, summed.

    Groups are paired as `connectors.pair_groups` says; all terms share one coefficient.
    """

    label = "ReviewKD"
    family = "maps"
    mixed_images = True
    capturable = True
    needs = frozenset({"teacher", "preactivations"})
    card = Card(
        formula="review_L = HCL(regress_L(fuse_L(F_s, deeper)), F_t before ReLU), summed over L",
        layers="all groups and `pooled`, paired, fused from output to input",
        hazards=(
            "the published weight is chosen per pair: 0.6 (56-20), 1 (110-32), 8 (32x4-ShuffleV2)",
            "the full weight is reached after `warmup` epochs only: 20, whatever the run's length",
            "MobileNetV2 and ShuffleV2 have no map before ReLU as teachers: their map is compared",
            "the authors' recipe (rate 0.1, batch 128, Nesterov) is not the CRD benchmark's",
        ),
    )

    class Config(MethodConfig):
        """`weight` of each level, reached after `warmup` epochs; `layers` are pairs of maps."""

        weight: PositiveFloat = 5.0
        warmup: PositiveInt = 20
        layers: tuple[LayerPair, ...] | None = None

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        pairs = pair_groups(student, teacher, config.layers)
        self.pairs = [(s, _before_activation(teacher, t)) for s, t in pairs]
        width, target = student.features["pooled"][0], teacher.features["pooled"][0]
        middle = min(MOST_CHANNELS, width)
        deepest = Fusion(width, middle, (target, 1, 1), fuse=False)
        levels = (
            Fusion(
                map_shape(student, s, "student")[0], middle, map_shape(teacher, t, "teacher"), True
            )
            for s, t in reversed(self.pairs)
        )
        self.levels = nn.ModuleList([deepest, *levels])

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 5 times the sum over levels."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"review": config.weight})

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """CE at once; every level has the coefficient of `review`, which grows over the warm-up."""
        names = [f"review_{layer}" for layer in (*(s for s, _ in self.pairs), "pooled")]
        return per_pair(ramped(coefficients, epoch, self.config.warmup), "review", names)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return one term per level, from the deepest."""
        terms: dict[str, Tensor] = {}
        fused: Tensor | None = None
        for level, (s, t) in zip(
            self.levels, [("pooled", "pooled"), *self.pairs[::-1]], strict=True
        ):
            x, target = student.features[s], teacher.features[t]
            if s == "pooled":
                x, target = x[:, :, None, None], target[:, :, None, None]
            regressed, fused = level(x, fused)
            terms[f"review_{s}"] = context_loss(regressed, target)
        return terms


def _before_activation(teacher: Shapes, layer: str) -> str:
    name = PREACTIVATION.format(layer)
    return name if name in teacher.features else layer


def _normed(before: int, after: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, BatchNorm(after))
