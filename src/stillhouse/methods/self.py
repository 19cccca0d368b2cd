"""Control: logit distillation from a trained network of the student's own architecture.

The teacher is the student's `pure` run of the same seed: one generation of born-again training
(Furlanello et al. 2018, arXiv:1805.04770, section 3.1). The additional gain of a larger teacher is
the effect of its capacity. Loss and total are those of `logit`.
"""

from __future__ import annotations

from stillhouse.methods.base import Card
from stillhouse.methods.logit import Logit


class Self(Logit):
    """Match the softened class probabilities of the student's own pure run."""

    label = "Control: self"
    family = "control"
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
            ("teacher and student have the same initial weights and order of images"),
        ),
    )
