"""Similarity-preserving distillation (Tung and Mori 2019, arXiv:1907.09682, equations 3 and 4).

The form and the weight 3000 are the CRD benchmark's (RepDistiller, `SP.py`, which names the
author's verification).
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import LayerPair, in_full_precision, pair_groups
from stillhouse.models.base import Outputs, Shapes


@in_full_precision
def similarity_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of two (batch, ...) maps' similarities of images."""
    return (similarities(student) - similarities(teacher)).square().mean()


def similarities(x: Tensor) -> Tensor:
    """Return inner products (batch, batch) of flattened maps, each row over its L2 norm."""
    flat = x.flatten(1)
    return F.normalize(flat @ flat.T)


class Sp(Method):
    """Match which images of a batch have similar feature maps."""

    label = "SP"
    family = "maps"
    mixed_images = True
    capturable = True
    card = Card(
        formula="sp = mean (unit rows of F_s F_s' - unit rows of F_t F_t')^2 over B x B entries",
        layers="the last group of each, unless `layers` says else",
        hazards=(
            "entries shrink as the batch grows: the weight 3000 is for batches of 64",
            "rows divided by their L1 norm, as in some code, are another loss",
        ),
    )

    class Config(MethodConfig):
        """`weight` of the term; `layers` is (student's, teacher's) map, the last if not given."""

        weight: PositiveFloat = 3000.0
        layers: LayerPair | None = None

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        chosen = config.layers or pair_groups(student, teacher)[-1]
        ((self.student_layer, self.teacher_layer),) = pair_groups(student, teacher, [chosen])

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 3000 sp."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"sp": config.weight})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `sp`."""
        s, t = student.features[self.student_layer], teacher.features[self.teacher_layer]
        return {"sp": similarity_loss(s, t)}
