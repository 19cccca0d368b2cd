"""Transformed teacher matching (Zheng and Yang 2024, arXiv:2402.11148, equation 12).

The teacher's probabilities to the power gamma, which are those at temperature 1 / gamma, taught to
the student's at temperature 1, without T^2. Gamma 0.1 and weight 45 are those of the authors' own
command (zkxufo/TTM, README).
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import in_full_precision
from stillhouse.models.base import Outputs


@in_full_precision
def transformed_loss(student: Tensor, teacher: Tensor, *, gamma: float) -> Tensor:
    """Return the batch mean of KL(softmax(gamma z_t) || softmax(z_s)); logits (batch, classes)."""
    return transformed_kl(student, teacher, gamma).mean()


def transformed_kl(student: Tensor, teacher: Tensor, gamma: float) -> Tensor:
    """Return the same for each image: (batch,)."""
    log_q = F.log_softmax(gamma * teacher, dim=1)
    log_p = F.log_softmax(student, dim=1)
    return F.kl_div(log_p, log_q, reduction="none", log_target=True).sum(dim=1)


class Ttm(Method):
    """Match the teacher's flattened probabilities without softening the student's."""

    label = "TTM"
    family = "logits"
    mixed_images = True
    capturable = True
    card = Card(
        formula="ttm = KL(softmax(gamma z_t) || softmax(z_s)), mean over the batch, no T^2",
        layers="logits",
        hazards=(
            "it is not 0 where the student equals the teacher: the target is flatter",
            "powers of softmax outputs underflow in float32; softmax(gamma z) is the same",
        ),
    )

    class Config(MethodConfig):
        """`gamma` is the power of the teacher's probabilities, `weight` that of the term."""

        gamma: PositiveFloat = 0.1
        weight: PositiveFloat = 45.0

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 45 ttm."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"ttm": config.weight})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `ttm`."""
        loss = transformed_loss(student.logits, teacher.logits, gamma=self.config.gamma)
        return {"ttm": loss}
