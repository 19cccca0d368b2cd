"""FitNets (Romero et al. 2015, arXiv:1412.6550, section 2).

Variant `crd` is the form in the CRD benchmark (Tian et al. 2020) and most other reports: one stage,
CE + 100 times the mean squared error, regressor with batch norm. `two_stage` is the form of the
paper and its code (adri-romsor/FitNets): first hints, which train the student only up to the middle
layer, then distillation of the logits with a decreasing weight.
"""

from __future__ import annotations

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import (
    ConvRegressor,
    LayerPair,
    in_full_precision,
    map_shape,
    middle_pair,
    pair_groups,
    pool_to_smaller,
)
from stillhouse.methods.logit import kd_loss
from stillhouse.models.base import Outputs, Shapes

FIRST_WEIGHT, LAST_WEIGHT = 4.0, 1.0  # of the softened targets in stage 2


@in_full_precision
def hint_loss(regressed: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared error of (batch, c, h, w) maps; the larger is average-pooled."""
    return F.mse_loss(*pool_to_smaller(regressed, teacher))


@in_full_precision
def paper_hint_loss(regressed: Tensor, teacher: Tensor) -> Tensor:
    """Return half the squared error, summed over channels, mean over pixels and batch (eq. 3)."""
    regressed, teacher = pool_to_smaller(regressed, teacher)
    return 0.5 * (regressed - teacher).square().sum(dim=1).mean()


@in_full_precision
def softened_loss(student_logits: Tensor, teacher_logits: Tensor, *, temperature: float) -> Tensor:
    """Return KL(teacher || student) of (batch, classes) logits at `temperature`, without T^2.

    It is the paper's cross entropy of softened outputs (equation 2) minus the teacher's entropy,
    which has no gradient; so it is 0 at equality.
    """
    return kd_loss(student_logits, teacher_logits, temperature) / temperature**2


class Fitnets(Method):
    """Regress the teacher's middle feature map from the student's."""

    label = "FitNets"
    family = "maps"
    mixed_images = True
    capturable = True
    card = Card(
        formula=(
            "crd: hint = mean (R(F_s) - F_t)^2; two_stage: hint = 1/2 sum_c (R(F_s) - "
            "F_t)^2, then kd"
        ),
        layers="the middle group of each, or the pair in `layers`",
        hazards=(
            ("weight 100 (`crd`) can dominate CE early: watch the gradient norms in metrics.jsonl"),
            "in `two_stage` the head is not trained during the hint epochs",
        ),
    )

    class Config(MethodConfig):
        """`layers` is (student's, teacher's) map, the middle pair of groups if not given.

        `weight` is that of the hint: 100 (`crd`) or 1 (`two_stage`) if not given. Only
        `two_stage` reads `hint_fraction`, the part of all epochs spent on hints, and
        `temperature`.
        """

        variant: Literal["crd", "two_stage"] = "crd"
        weight: PositiveFloat | None = None
        layers: LayerPair | None = None
        hint_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.25
        temperature: PositiveFloat = 3.0

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        chosen = config.layers or middle_pair(student, teacher)
        ((self.student_layer, self.teacher_layer),) = pair_groups(student, teacher, [chosen])
        self.regressor = ConvRegressor(
            map_shape(student, self.student_layer, "student"),
            map_shape(teacher, self.teacher_layer, "teacher"),
            norm=config.variant == "crd",
        )

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 100 hint (`crd`), or hint and then CE + 4 KD (`two_stage`)."""
        assert isinstance(config, cls.Config)
        if config.variant == "crd":
            return Reference(ce=1.0, weights={"hint": config.weight or 100.0})
        return Reference(ce=1.0, weights={"hint": config.weight or 1.0, "kd": FIRST_WEIGHT})

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """Return the hint alone, then CE with KD from its full weight linearly to 1/4
        (`two_stage`).

        Each stage has at least one epoch; with a single epoch there is only the second stage.
        """
        if self.config.variant == "crd":
            return coefficients
        hints = min(max(1, round(self.config.hint_fraction * epochs)), epochs - 1)
        if epoch < hints:
            return {"ce": 0.0, "hint": coefficients["hint"], "kd": 0.0}
        progress = (epoch - hints) / max(1, epochs - hints - 1)
        fade = 1 - progress * (1 - LAST_WEIGHT / FIRST_WEIGHT)
        return {"ce": coefficients["ce"], "hint": 0.0, "kd": coefficients["kd"] * fade}

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `hint`, and `kd` in the variant `two_stage`."""
        regressed = self.regressor(student.features[self.student_layer])
        hint = teacher.features[self.teacher_layer]
        if self.config.variant == "crd":
            return {"hint": hint_loss(regressed, hint)}
        kd = softened_loss(student.logits, teacher.logits, temperature=self.config.temperature)
        return {"hint": paper_hint_loss(regressed, hint), "kd": kd}
