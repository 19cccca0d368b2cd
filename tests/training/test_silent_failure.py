"""A later round's RKD ran for days and learnt nothing: its loss was finite, its gradient never.

Under a GradScaler such steps are skipped without a word. Here the distance that did it is put
into RKD, for the test only, and the loop must stop the run and name the gradient.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from small_runs import Lab, StopAfter
from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Batch
from stillhouse.methods.rkd import Rkd, angle_loss, distance_loss
from stillhouse.models.base import Outputs
from stillhouse.runs.state import state_of
from stillhouse.training.health_checks import STUCK_STEPS
from stillhouse.training.loop import train
from stillhouse.training.trainer import Trainer

BATCH = 4


def naive_distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Plain square root, diagonal kept: right in value, NaN in gradient (0 times infinity)."""

    def relative(x: Tensor) -> Tensor:
        distances = (x[:, None] - x[None]).square().sum(dim=2).sqrt()
        return distances / (distances.sum() / (len(x) * (len(x) - 1)))

    return F.smooth_l1_loss(relative(student), relative(teacher))


def naive_terms(self: Rkd, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
    s, t = student.features["pooled"], teacher.features["pooled"]
    return {"distance": naive_distance_loss(s, t), "angle": angle_loss(s, t)}


def train_rkd(lab: Lab) -> tuple[RunConfig, Trainer]:
    """RKD in fp16, for one epoch of ten steps more than the guard's patience."""
    images = (STUCK_STEPS + 10) * BATCH
    config = lab.run("rkd", precision="fp16", epochs=1, batch_size=BATCH, train_images=images)
    cohort = lab.open(config)
    trainer = cohort.members[0].trainer
    train(cohort, StopAfter(10**9), lambda trainer, record: None)
    return config, trainer


def test_the_naive_distance_has_the_right_value_and_no_gradient() -> None:
    student = torch.randn(BATCH, 8, requires_grad=True)
    teacher = torch.randn(BATCH, 8)
    naive = naive_distance_loss(student, teacher)
    torch.testing.assert_close(naive, distance_loss(student, teacher))
    assert torch.autograd.grad(naive, student)[0].isnan().all()


def test_a_finite_loss_without_a_gradient_is_stopped_and_named(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Rkd, "terms", naive_terms)
    config, trainer = train_rkd(lab)
    state = state_of(lab.folder(config))
    assert (state.name, state.code) == ("failed", "optimizer-never-stepped")
    assert f"skipped {STUCK_STEPS} steps in a row" in state.reason
    assert "the gradient of conv.weight is not finite" in state.reason
    assert trainer.epoch_metrics.skipped == STUCK_STEPS
    fresh = lab.open(lab.run("pure")).members[0].trainer.network  # of the same seed
    unmoved = zip(fresh.parameters(), trainer.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in unmoved)
    assert all(math.isfinite(mean) for mean in trainer.epoch_metrics.means().values())


def test_the_shipped_distance_trains_under_the_same_scaler(lab: Lab) -> None:
    config, _ = train_rkd(lab)
    assert state_of(lab.folder(config)).name == "done"
    (record,) = lab.folder(config).records()
    assert record["scaler"]["skipped"] < STUCK_STEPS / 5
    assert record["update_ratio"] > 0
