"""Logit knowledge distillation (Hinton et al. 2015, arXiv:1503.02531, section 2).

Reference total 0.1 CE + 0.9 T^2 KL at T = 4, the constants of the CRD benchmark (Tian et al.
2020), which agree in value with the authors' convex form at alpha = 0.9. With `standardise`,
0.1 CE + 9 T^2 KL at T = 2 of standardised logits (Sun et al. 2024, arXiv:2403.01427, algorithm 1).
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from pydantic import PositiveFloat, model_validator
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.models.base import Outputs

STANDARD_EPSILON = 1e-7
STANDARD_TEMPERATURE, STANDARD_WEIGHT = 2.0, 9.0  # of standardised logits


def kd_loss(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """Return KL(teacher || student) of (batch, classes) logits at `temperature`, times T^2.

    Summed over classes and averaged over the batch; T^2 keeps the gradient's scale (section 2).
    """
    log_p = F.log_softmax(student_logits / temperature, dim=1)
    log_q = F.log_softmax(teacher_logits / temperature, dim=1)
    return F.kl_div(log_p, log_q, reduction="batchmean", log_target=True) * temperature**2


def standardised(logits: Tensor) -> Tensor:
    """Return each row of (batch, classes) logits less its mean, over its standard deviation.

    The deviation is unbiased, plus 1e-7 (sunshangquan/logit-standardization-KD, `KD.py`).
    """
    deviation = logits.std(dim=1, keepdim=True)
    return (logits - logits.mean(dim=1, keepdim=True)) / (STANDARD_EPSILON + deviation)


class Logit(Method):
    """Match the teacher's softened class probabilities."""

    label = "Logit KD"
    family = "logits"
    mixed_images = True
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
            "`standardise` changes weight and temperature too: 9 instead of 0.9, 2 instead of 4",
        ),
    )

    class Config(MethodConfig):
        """`temperature` softens both distributions: 4, or 2 with `standardise`, if not given.

        `standardise` compares logits of mean 0 and standard deviation 1.
        """

        temperature: PositiveFloat = 4.0
        standardise: bool = False

        @model_validator(mode="before")
        @classmethod
        def _published_temperature(cls, given: Any) -> Any:
            if isinstance(given, dict) and given.get("standardise") is True:
                return {"temperature": STANDARD_TEMPERATURE, **given}
            return given

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return 0.1 CE + 0.9 KD; standardised, 0.1 CE + 9 KD."""
        assert isinstance(config, cls.Config)
        if config.standardise:
            return Reference(ce=0.1, weights={"kd": STANDARD_WEIGHT})
        return Reference(ce=0.1, weights={"kd": 0.9}, alpha=0.9)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `kd`."""
        return {"kd": self.match(student.logits, teacher.logits)}

    def match(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Return the loss between two networks' logits, as configured."""
        if self.config.standardise:
            student, teacher = standardised(student), standardised(teacher)
        return kd_loss(student, teacher, self.config.temperature)
