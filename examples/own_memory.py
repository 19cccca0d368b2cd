"""Logit distillation (Hinton et al. 2015, arXiv:1503.02531) with a memory of the teacher's logits.

This method derives from a built-in one and has a memory bank. The target of an image is the mean of
the teacher's logits over all augmented views of it so far.
"""

import torch
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, TrainingImages
from stillhouse.methods.logit import Logit
from stillhouse.models.base import Outputs, Shapes


class OwnMemory(Logit):
    """Parameters and total are those of `logit`."""

    label = "Logit KD, mean of views"
    needs = frozenset({"teacher", "training_images"})
    card = Card("kd = T^2 KL(softmax(m_t / T) || softmax(z_s / T)), m_t = mean z_t", "logits", ())

    views: Tensor
    answers: Tensor

    def __init__(self, config: Logit.Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        self.classes = teacher.classes

    def bind_training_images(self, images: TrainingImages) -> None:
        """Allocate one row per image, by its id, in buffers: they are part of a checkpoint."""
        self.register_buffer("views", torch.zeros(images.rows, 1))
        self.register_buffer("answers", torch.zeros(images.rows, self.classes))

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `kd`. In eval mode ids are those of test images: nothing is stored."""
        if not self.training:
            return super().terms(student, teacher, batch)
        ids = batch.ids
        self.views[ids] += 1
        self.answers[ids] += (teacher.logits - self.answers[ids]) / self.views[ids]
        return super().terms(student, Outputs(self.answers[ids], {}), batch)
