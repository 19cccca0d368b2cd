"""Weighted transformed teacher matching (Zheng and Yang 2024, arXiv:2402.11148, equation 16).

The divergence of `ttm`, each image's times the power sum of the teacher's probabilities, which is
large where they are flat. The authors publish no command for it alone: gamma 0.2 and weight 4 are
those that their README gives beside CRD (zkxufo/TTM).
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import in_full_precision
from stillhouse.methods.ttm import transformed_kl
from stillhouse.models.base import Outputs


@in_full_precision
def weighted_loss(student: Tensor, teacher: Tensor, *, gamma: float) -> Tensor:
    """Return the mean over the batch of sum_c p_t^gamma times the divergence of `ttm`."""
    weight = (gamma * F.log_softmax(teacher, dim=1)).exp().sum(dim=1)
    return (weight * transformed_kl(student, teacher, gamma)).mean()


class Wttm(Method):
    """Match the teacher's flattened probabilities, most where it is least certain."""

    label = "WTTM"
    family = "logits"
    mixed_images = True
    capturable = True
    card = Card(
        formula=(
            "wttm = mean of sum_c p_t^gamma times KL(softmax(gamma z_t) || softmax(z_s)), no T^2"
        ),
        layers="logits",
        hazards=(
            "the factor is between 1 and classes^(1 - gamma): the weight depends on the dataset",
            "gamma and weight are those published beside CRD, not for the method alone",
        ),
    )

    class Config(MethodConfig):
        """`gamma` is the power of the teacher's probabilities, `weight` that of the term."""

        gamma: PositiveFloat = 0.2
        weight: PositiveFloat = 4.0

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 4 wttm."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"wttm": config.weight})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `wttm`."""
        loss = weighted_loss(student.logits, teacher.logits, gamma=self.config.gamma)
        return {"wttm": loss}
