"""Control: label smoothing (Szegedy et al. 2016, arXiv:1512.00567, section 7), no teacher.

It is logit distillation from a teacher with uniform outputs: a method's gain over it comes from the
teacher's knowledge, not from softer targets.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference, cross_entropy
from stillhouse.models.base import Outputs


class LabelSmoothing(Method):
    """Cross entropy with targets mixed with the uniform distribution."""

    label = "Control: label smoothing"
    family = "control"
    mixed_images = True
    capturable = True
    taught_by = "nobody"
    needs = frozenset()
    card = Card(
        formula="CE(z_s, (1 - s) y + s / classes)",
        layers="logits",
        hazards=(
            "it ignores the recipe's own label_smoothing",
            ("its cross entropy is not comparable with that of unsmoothed arms; its accuracy is"),
        ),
    )

    class Config(MethodConfig):
        """`smoothing` is the uniform part of the target, in place of the recipe's."""

        smoothing: Annotated[float, Field(gt=0, lt=1)] = 0.1

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE with weight 1."""
        return Reference(ce=1.0, weights={})

    def task_loss(self, student: Outputs, batch: Batch, label_smoothing: float) -> Tensor:
        """Return cross entropy with this method's smoothing."""
        smoothing = self.config.smoothing
        return cross_entropy(student.logits, batch, smoothing)
