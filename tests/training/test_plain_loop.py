"""A cohort of seven beside plain eager loops, one run each: the same science after 50 steps."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from small_runs import Lab
from stillhouse.data.base import Batch
from stillhouse.training.teacher import TrainedTeacher
from stillhouse.training.trainer import Trainer

STEPS = 50
SEVEN = ("pure", "logit", "factor_transfer", "attention_transfer", "fitnets", "rkd", "nst")


class PlainLoop:
    """One student alone: it asks its teacher for every batch, and PyTorch's SGD moves it.

    Its layout is the cohort's: another one rounds differently, which batch norm over few images
    and large published weights turn into another loss within some steps.
    """

    def __init__(self, trainer: Trainer, teacher: TrainedTeacher) -> None:
        self.network, self.method = copy.deepcopy((trainer.network, trainer.method))
        self.teacher = copy.deepcopy(teacher.network)
        recipe = trainer.config.training
        self.weights = trainer.method.weights(trainer.coefficients, 0, recipe.epochs)
        self.optimizer = torch.optim.SGD(
            [p for p in (*self.network.parameters(), *self.method.parameters()) if p.requires_grad],
            lr=recipe.learning_rate,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )

    def step(self, batch: Batch) -> float:
        """One step; returns the loss before it."""
        outputs = self.network.train()(batch.images)
        terms = {"ce": F.cross_entropy(outputs.logits, batch.labels)}
        if "teacher" in self.method.needs:
            with torch.no_grad():
                taught = self.teacher.eval()(batch.images)
            terms |= self.method.terms(outputs, taught, batch)
        loss = torch.stack([self.weights[name] * term for name, term in terms.items()]).sum()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return loss.item()


def test_fifty_steps_of_a_cohort_are_those_of_plain_loops(lab: Lab) -> None:
    cohort = lab.open(*(lab.run(method, batch_size=8, train_images=400) for method in SEVEN))
    trainers, shared = [member.trainer for member in cohort.members], cohort.shared
    assert shared.teacher is not None and shared.batches.steps == STEPS
    loops = [PlainLoop(trainer, shared.teacher) for trainer in trainers]
    losses: list[list[float]] = [[] for _ in loops]
    for step in range(STEPS):
        batch = shared.batches.batch(0, step)
        taught = shared.teacher(batch)
        for trainer, loop, own in zip(trainers, loops, losses, strict=True):
            trainer.position = (0, step)
            trainer.step(batch, taught)
            own.append(loop.step(batch))
    for trainer, loop, own in zip(trainers, loops, losses, strict=True):
        found = trainer.epoch_metrics.means()["total"]
        assert found == pytest.approx(sum(own) / STEPS, rel=1e-5), trainer.config.method
        weights = trainer.network.state_dict()
        for name, value in loop.network.state_dict().items():
            torch.testing.assert_close(weights[name], value, rtol=1e-5, atol=1e-6)
