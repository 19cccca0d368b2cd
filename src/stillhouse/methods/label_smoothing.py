"""Control: label smoothing (Szegedy et al. 2016, arXiv:1512.00567, section 7), no teacher.

It is logit distillation from a teacher that knows nothing: what a method gains over it is owed
to what the teacher knows, not to softer targets.
"""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.models.base import Outputs


class LabelSmoothing(Method):
    """Cross entropy with targets mixed with the uniform distribution."""

    label = "Control: label smoothing"
    capturable = True
    taught_by = "nobody"
    needs = frozenset()
    card = Card(
        formula="CE(z_s, (1 - s) y + s / classes)",
        layers="logits",
        hazards=(
            "the recipe's own label_smoothing does not count for it",
            ("its cross entropy is not comparable with that of unsmoothed arms; its accuracy is"),
        ),
    )

    class Config(MethodConfig):
        """`smoothing` is the uniform part of the target, in place of the recipe's."""

        smoothing: Annotated[float, Field(gt=0, lt=1)] = 0.1

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """CE, smoothed."""
        return Reference(ce=1.0, weights={})

    def task_loss(self, student: Outputs, batch: Batch, label_smoothing: float) -> Tensor:
        """Cross entropy with this method's smoothing."""
        smoothing = self.config.smoothing
        return F.cross_entropy(student.logits, batch.labels, label_smoothing=smoothing)
