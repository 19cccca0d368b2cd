"""Control: logit distillation from a trained network of the student's own architecture.

The teacher is the student's `pure` run of the same seed: one generation of born-again training
(Furlanello et al. 2018, arXiv:1805.04770, section 3.1). What a larger teacher adds to it is what
its capacity is worth. Loss and total are those of `logit`.
"""

from __future__ import annotations

from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.logit import kd_loss
from stillhouse.models.base import Outputs


class Self(Method):
    """Match the softened class probabilities of the student's own pure run."""

    label = "Control: self"
    taught_by = "student"
    card = Card(
        formula=(
            "kd = T^2 KL(softmax(z_t / T) || softmax(z_s / T)), mean over the batch, z_t "
            "from the student's own pure run"
        ),
        layers="logits",
        hazards=(
            (
                "the teacher is a network that must be trained first: the student's pure run "
                "is needed"
            ),
            ("teacher and student start from the same weights and see the same order of images"),
        ),
    )

    class Config(MethodConfig):
        """`temperature` softens both distributions."""

        temperature: PositiveFloat = 4.0

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """0.1 CE + 0.9 KD, as `logit`."""
        return Reference(ce=0.1, weights={"kd": 0.9}, alpha=0.9)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """The term `kd`."""
        return {"kd": kd_loss(student.logits, teacher.logits, self.config.temperature)}
