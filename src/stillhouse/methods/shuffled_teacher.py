"""Control: logit distillation from the teacher's outputs for other images of the batch.

The targets have the right class distribution and softness, but no relation to the image. Loss and
total are those of `logit`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stillhouse.data.augment import send
from stillhouse.data.base import Batch
from stillhouse.methods.base import Card
from stillhouse.methods.logit import Logit
from stillhouse.models.base import Outputs


class ShuffledTeacher(Logit):
    """Match the teacher's softened probabilities of a randomly drawn other row."""

    label = "Control: shuffled teacher"
    family = "control"
    capturable = False
    card = Card(
        formula=(
            "kd = T^2 KL(softmax(z_t[permuted] / T) || softmax(z_s / T)), mean over the batch"
        ),
        layers="logits",
        hazards=(
            "a row keeps its own target with probability 1 / batch",
            (
                "with a confident teacher this is label noise at weight 9 : 1, so low "
                "accuracies are expected"
            ),
        ),
    )

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `kd`; the permutation is drawn from the global generator."""
        rows = send(torch.randperm(len(teacher.logits)), teacher.logits.device)
        return {"kd": self.match(student.logits, teacher.logits[rows])}
