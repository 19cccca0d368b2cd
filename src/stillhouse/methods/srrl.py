"""Softmax regression representation learning (Yang et al. 2021, ICLR, equations 3 and 5).

The student's embedding is matched to the teacher's, and classified by the teacher's frozen head.
Variant `official` is the authors' (jingyang2017/KD_SRRL): the connector acts on the map, CE 1 and
no distillation of the student's own logits. `simkd` is that of the SimKD tables (DefangChen/SimKD,
`models/util.py`): the connector acts after pooling, and CE + KD at T = 4 are added.
"""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import Frozen, in_full_precision, projection
from stillhouse.methods.logit import kd_loss
from stillhouse.models.base import Network, Outputs, Shapes
from stillhouse.models.layers import draw_convolutions

KD_TEMPERATURE = 4.0


@in_full_precision
def squared_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of two (batch, n) tensors."""
    return F.mse_loss(student, teacher)


class Srrl(Method):
    """Match the teacher's embedding, and the logits that its head gives for the student's."""

    label = "SRRL"
    family = "embeddings"
    mixed_images = True
    capturable = True
    needs = frozenset({"teacher", "teacher_network"})
    card = Card(
        formula=(
            "feature = mean (e' - e_t)^2; regression = mean (head_t(e') - z_t)^2, e' = mean of the "
            "connector of F_s"
        ),
        layers="the map whose mean is the student's `pooled` (else its last group), `pooled` of t",
        hazards=(
            "the connector ends in ReLU: a teacher whose embedding is negative cannot be matched",
            "published CIFAR-100 numbers come from the variant `simkd`, which adds KD",
            "the student itself is evaluated with its own head, not with the teacher's",
        ),
    )

    class Config(MethodConfig):
        """`weight` multiplies `regression`, or in the variant `simkd` both of its terms."""

        variant: Literal["official", "simkd"] = "official"
        weight: PositiveFloat = 1.0

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        self.layer = student.pooled_map or student.groups[-1]
        taken = "pooled" if config.variant == "simkd" else self.layer
        self.connector = projection(student.features[taken][0], teacher.features["pooled"][0])
        if config.variant == "official":
            draw_convolutions(self.connector)

    def bind_teacher(self, network: Network) -> None:
        """Keep a frozen copy of the teacher's head."""
        self.head = Frozen(network.head)

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + feature + regression, and KD in the variant `simkd`."""
        assert isinstance(config, cls.Config)
        if config.variant == "official":
            return Reference(ce=1.0, weights={"feature": 1.0, "regression": config.weight})
        both = {"feature": config.weight, "regression": config.weight}
        return Reference(ce=1.0, weights={**both, "kd": 1.0})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms `feature` and `regression`, and `kd` in the variant `simkd`."""
        simkd = self.config.variant == "simkd"
        taken = student.features["pooled"][:, :, None, None] if simkd else None
        embedding = self.connector(student.features[self.layer] if taken is None else taken)
        embedding = embedding.mean(dim=(2, 3))
        terms = {
            "feature": squared_loss(embedding, teacher.features["pooled"]),
            "regression": squared_loss(self.head(embedding), teacher.logits),
        }
        if simkd:
            terms["kd"] = kd_loss(student.logits, teacher.logits, KD_TEMPERATURE)
        return terms
