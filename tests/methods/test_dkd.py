"""Decoupled distillation: its warm-up, what it refuses, and what it has in common with KD."""

from __future__ import annotations

import pytest
import torch

from methods.formulas import draw
from methods.slow import labels_of
from stillhouse.errors import ConfigError
from stillhouse.methods.dkd import Dkd, other_loss, target_loss
from stillhouse.methods.logit import kd_loss
from stillhouse.models.base import Shapes

TEN = Shapes(10, {}, ())


def test_two_classes_are_refused() -> None:
    two = Shapes(2, {}, ())
    with pytest.raises(ConfigError, match=r"2 classes in all\n.*`logit`"):
        Dkd(Dkd.Config(), two, two)


def test_its_terms_grow_to_the_published_weights_over_the_warm_up() -> None:
    method = Dkd(Dkd.Config(), TEN, TEN)
    full = {"ce": 1.0, "tckd": 1.0, "nckd": 8.0}
    assert method.weights(full, 0, 240) == pytest.approx({"ce": 1.0, "tckd": 0.05, "nckd": 0.4})
    assert method.weights(full, 19, 240) == method.weights(full, 239, 240) == full


def test_kd_is_tckd_and_nckd_weighed_by_what_the_teacher_gives_to_the_others() -> None:
    """Equation 5 of the paper, for one image."""
    student, teacher = draw(3, (1, 10), (1, 10), rectified=False)
    labels = labels_of(1, 10)
    rest = 1 - torch.softmax(teacher / 4, dim=1)[0, labels[0]]
    tckd = target_loss(student, teacher, labels=labels, temperature=4.0)
    nckd = other_loss(student, teacher, labels=labels, temperature=4.0)
    torch.testing.assert_close(tckd + rest * nckd, kd_loss(student, teacher, 4.0))
