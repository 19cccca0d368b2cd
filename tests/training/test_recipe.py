"""What a step does with its recipe: smoothing, weights of terms, rate; which epoch is the best."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from small_runs import Lab
from stillhouse.training.loop import Cohort
from stillhouse.training.optim import learning_rate


def step(cohort: Cohort) -> None:
    (member,) = cohort.members
    trainer, batch = member.trainer, cohort.shared.batches.batch(0, 0)
    taught = cohort.shared.teacher(batch) if cohort.shared.teacher else None
    trainer.step(batch, taught)


def test_the_loop_smooths_labels_as_the_recipe_says(lab: Lab) -> None:
    cohort = lab.open(lab.run("pure", label_smoothing=0.3))
    trainer, batch = cohort.members[0].trainer, cohort.shared.batches.batch(0, 0)
    before = copy.deepcopy(trainer.network)
    step(cohort)
    logits = before(batch.images).logits
    expected = F.cross_entropy(logits, 0.7 * F.one_hot(batch.labels, 10) + 0.3 / 10)
    assert trainer.epoch_metrics.means()["ce"] == pytest.approx(expected.item(), rel=1e-5)


def test_the_loss_of_mixed_images_weighs_both_labels(lab: Lab) -> None:
    cohort = lab.open(lab.run("pure", augmentation=("mixup",), label_smoothing=0.3))
    trainer, batch = cohort.members[0].trainer, cohort.shared.batches.batch(0, 0)
    before = copy.deepcopy(trainer.network)
    step(cohort)
    assert batch.partners is not None and batch.shares is not None
    logits, share = before(batch.images).logits, batch.shares[:, None]
    first, second = (F.one_hot(labels, 10) for labels in (batch.labels, batch.partners))
    target = share * first + (1 - share) * second
    expected = F.cross_entropy(logits, 0.7 * target + 0.3 / 10)
    found = trainer.epoch_metrics.means()
    assert found["ce"] == pytest.approx(expected.item(), rel=1e-5)
    right = (target * F.one_hot(logits.argmax(1), 10)).sum(1).mean()
    assert found["accuracy"] == pytest.approx(100 * right.item(), rel=1e-5)


def test_the_total_is_the_weighted_sum_of_the_terms(lab: Lab) -> None:
    cohort = lab.open(lab.run("logit"))
    step(cohort)
    found = cohort.members[0].trainer.epoch_metrics.means()
    assert found["total"] == pytest.approx(0.1 * found["ce"] + 0.9 * found["kd"], rel=1e-5)
    assert found["kd"] > 0


def test_a_term_of_weight_0_leaves_the_parameters_that_only_it_reaches_alone(lab: Lab) -> None:
    two_stage = {"parameters": {"variant": "two_stage"}}
    cohort = lab.open(lab.run("fitnets", epochs=4).model_copy(update=two_stage))
    network = cohort.members[0].trainer.network
    before = {name: value.clone() for name, value in network.named_parameters()}
    step(cohort)
    after = dict(network.named_parameters())
    unmoved = {name for name, value in before.items() if torch.equal(value, after[name])}
    assert unmoved == {name for name in before if name.startswith(("layer3", "head"))}


def test_every_step_has_the_learning_rate_of_the_schedule(lab: Lab) -> None:
    recipe = lab.run("pure", warmup_epochs=1)
    cohort = lab.open(recipe)
    step(cohort)
    rates = {group["lr"] for group in cohort.members[0].trainer.optimizer.param_groups}
    assert rates == {learning_rate(recipe.training, 0, 0, cohort.shared.batches.steps)}
    assert rates.pop() == pytest.approx(0.1 * recipe.training.learning_rate)


def record(epoch: int, test: float, **validation: float) -> dict[str, Any]:
    measured = {"validation": validation} if validation else {}
    return {"epoch": epoch, "test": {"accuracy": test}, **measured}


@pytest.mark.parametrize(
    ("records", "epoch", "chosen_on"),
    [
        ([record(1, 50.0), record(2, 60.0), record(3, 60.0), record(4, 55.0)], 2, "test"),
        ([record(1, 50.0, accuracy=70.0), record(2, 60.0, accuracy=65.0)], 1, "validation"),
    ],
)
def test_the_best_epoch_is_the_first_of_the_best_by_validation_if_there_is_any(
    lab: Lab, records: list[dict[str, Any]], epoch: int, chosen_on: str
) -> None:
    trainer = lab.open(lab.run("pure")).members[0].trainer
    for one in records:
        trainer._keep_best(one)
    assert (trainer.best["epoch"], trainer.best["chosen_on"]) == (epoch, chosen_on)
    assert trainer.best["test_accuracy"] == records[epoch - 1]["test"]["accuracy"]
