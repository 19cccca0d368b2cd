"""Logit knowledge distillation (Hinton et al. 2015, arXiv:1503.02531, section 2).

Reference total 0.1 CE + 0.9 T^2 KL at T = 4, the constants of the CRD benchmark (Tian et al.
2020), which agree in value with the authors' convex form at alpha = 0.9.
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.models.base import Outputs


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return KL(teacher || student) of (batch, classes) logits at `temperature`, times T^2.

    Summed over classes and averaged over the batch; T^2 keeps the gradient's scale (section 2).
    """
    log_p = F.log_softmax(student_logits / temperature, dim=1)
    log_q = F.log_softmax(teacher_logits / temperature, dim=1)
    return F.kl_div(log_p, log_q, reduction="batchmean", log_target=True) * temperature**2


class Logit(Method):
    """Match the teacher's softened class probabilities."""

    label = "Logit KD"
    capturable = True
    card = Card(
        formula="kd = T^2 KL(softmax(z_t / T) || softmax(z_s / T)), mean over the batch",
        layers="logits",
        hazards=(
            (
                "the reference total has 0.1 CE: compare with `ce_scaled`, which has that weight "
                "and no teacher"
            ),
            (
                "a mean over classes (`reduction='mean'`) in other code is too small by the "
                "number of classes"
            ),
            "a teacher trained with label smoothing teaches less",
        ),
    )

    class Config(MethodConfig):
        """`temperature` softens both distributions."""

        temperature: PositiveFloat = 4.0

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return 0.1 CE + 0.9 KD."""
        return Reference(ce=0.1, weights={"kd": 0.9}, alpha=0.9)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `kd`."""
        return {"kd": kd_loss(student.logits, teacher.logits, self.config.temperature)}
