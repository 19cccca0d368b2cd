"""Runs that learn nothing are stopped as it shows, and only they."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from small_runs import Lab, StopAfter
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig
from stillhouse.errors import TrainingError
from stillhouse.runs import chance
from stillhouse.runs.state import RunState, state_of
from stillhouse.training.health_checks import check_progress
from stillhouse.training.loop import Cohort, train

STEPS, CHANCE = 40, 15.0


def record(epoch: int, accuracy: float = 10.0, **changes: Any) -> dict[str, Any]:
    base = {
        "epoch": epoch,
        "lr": 0.1,
        "train": {"total": 2.3},
        "test": {"accuracy": accuracy, "classes_predicted": 4},
        "gradients": {"norm": 0.5},
        "update_ratio": 0.01,
        "scaler": {"skipped": 0},
    }
    return base | changes


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the handful of steps per epoch of these tests be enough to judge."""
    monkeypatch.setattr(chance, "PATIENCE_STEPS", 1)


def test_a_few_steps_per_epoch_are_given_two_hundred() -> None:
    check_progress([record(e) for e in range(1, 8)], 60, 25, CHANCE)
    with pytest.raises(TrainingError, match="in epochs 1-8"):
        check_progress([record(e) for e in range(1, 9)], 60, 25, CHANCE)


def test_five_epochs_at_chance_level_are_too_many() -> None:
    check_progress([record(e) for e in range(1, 5)], 20, STEPS, CHANCE)
    with pytest.raises(TrainingError, match=r"at chance level.* in epochs 1-5.* 15.00 %"):
        check_progress([record(e) for e in range(1, 6)], 20, STEPS, CHANCE)


def test_long_runs_have_five_percent_of_their_epochs() -> None:
    check_progress([record(e) for e in range(1, 10)], 200, STEPS, CHANCE)
    with pytest.raises(TrainingError, match="in epochs 1-10"):
        check_progress([record(e) for e in range(1, 11)], 200, STEPS, CHANCE)


def test_one_epoch_above_chance_clears_the_others() -> None:
    records = [record(e, 16.0 if e == 5 else 10.0) for e in range(1, 10)]
    check_progress(records[:9], 20, STEPS, CHANCE)
    with pytest.raises(TrainingError, match="in epochs 6-10"):
        check_progress([*records, record(10)], 20, STEPS, CHANCE)


def test_a_constant_answer_is_named() -> None:
    test = {"accuracy": 10.0, "classes_predicted": 1}
    with pytest.raises(TrainingError, match="predicts one class for every image"):
        check_progress([record(e, test=test) for e in range(1, 6)], 20, STEPS, CHANCE)


def test_unmoved_weights_are_caught_at_once_unless_the_scaler_is_settling() -> None:
    with pytest.raises(TrainingError, match="no weight moved in epoch 1, in 40 steps"):
        check_progress([record(1, 90.0, update_ratio=0.0)], 20, STEPS, CHANCE)
    settling = record(1, 90.0, update_ratio=0.0, scaler={"skipped": STEPS})
    check_progress([settling], 20, STEPS, CHANCE)


def state_after(cohort: Cohort, lab: Lab, config: RunConfig) -> RunState:
    train(cohort, StopAfter(10**9), lambda trainer, record: None)
    return state_of(lab.folder(config))


def untaught(outputs: Any, batch: Any, smoothing: float) -> torch.Tensor:
    """Pushes the answer to class 0, whatever the image."""
    return torch.nn.functional.cross_entropy(outputs.logits, batch.labels * 0)


@pytest.mark.usefixtures("few_steps")
def test_a_collapsing_run_fails_and_its_cohort_goes_on(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = lab.run("logit", epochs=6), lab.run("pure", epochs=6)
    cohort = lab.open(bad, good)
    method = cohort.members[0].trainer.method
    monkeypatch.setattr(method, "task_loss", untaught)
    monkeypatch.setattr(method, "terms", lambda own, *_: {"kd": (own.logits * 0).sum()})
    state = state_after(cohort, lab, bad)
    assert (state.name, state.epoch) == ("failed", 5)
    assert "predicts one class for every image" in state.reason
    assert "--keep-going" in state.reason
    assert state_of(lab.folder(good)).name == "done"


def test_keep_going_trains_on(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    config = lab.run("pure", epochs=6)
    cohort = lab.open(config)
    trainer = cohort.members[0].trainer
    monkeypatch.setattr(trainer.method, "task_loss", untaught)
    trainer.keep_going = True
    state = state_after(cohort, lab, config)
    assert state.name == "done" and state.result is not None
    assert state.result["final"]["test"]["classes_predicted"] == 1


def test_keep_going_outlives_a_scale_that_has_fallen_to_nothing(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = lab.run("pure", epochs=1, precision="fp16")
    cohort = lab.open(config)
    trainer = cohort.members[0].trainer

    def naive(outputs: Any, batch: Any, smoothing: float) -> torch.Tensor:
        return torch.sqrt((outputs.features["pooled"] * 0).sum()) + 1

    monkeypatch.setattr(trainer.method, "task_loss", naive)
    trainer.keep_going = True
    trainer.scaler.load_state_dict(trainer.scaler.state_dict() | {"scale": 1e-45})
    assert state_after(cohort, lab, config).name == "done"
    (record,) = lab.folder(config).records()
    assert record["scaler"]["skipped"] == trainer.steps
    assert record["gradients"]["norm"] == 0


def test_a_learning_rate_that_moves_nothing_is_caught_in_the_first_epoch(lab: Lab) -> None:
    config = lab.run("pure", epochs=6, learning_rate=1e-20, weight_decay=0.0)
    state = state_after(lab.open(config), lab, config)
    assert (state.name, state.epoch) == ("failed", 1)
    assert "no weight moved in epoch 1" in state.reason


@pytest.mark.usefixtures("few_steps")
def test_a_phase_that_does_not_teach_the_answer_is_not_judged(lab: Lab) -> None:
    """FitNets' hints leave the head as it was, for longer than chance level is borne."""
    stages = {"variant": "two_stage", "hint_fraction": 0.7}
    config = resolve(lab.run("fitnets", epochs=9).model_copy(update={"parameters": stages}))
    trainer = lab.open(config).members[0].trainer
    weights = [trainer.method.weights(trainer.coefficients, epoch, 9) for epoch in range(9)]
    trainer.records = [record(e + 1, weights=weights[e]) for e in range(6)]
    trainer.check_progress(CHANCE)
    trainer.records = [record(e + 1, weights=weights[-1]) for e in range(6)]
    with pytest.raises(TrainingError, match="at chance level"):
        trainer.check_progress(CHANCE)


@pytest.mark.usefixtures("few_steps")
def test_epochs_of_warm_up_are_not_judged(lab: Lab) -> None:
    trainer = lab.open(lab.run("pure", epochs=9, warmup_epochs=2)).members[0].trainer
    trainer.records = [record(e + 1, weights=trainer.coefficients) for e in range(6)]
    trainer.check_progress(CHANCE)
    trainer.records.append(record(7, weights=trainer.coefficients))
    with pytest.raises(TrainingError, match="in epochs 3-7"):
        trainer.check_progress(CHANCE)


def test_outputs_that_overflow_in_eval_mode_are_named(lab: Lab) -> None:
    """Batch norm's running variance, which no step reads, is wrong; the other run goes on."""
    config, other = lab.run("pure", epochs=1), lab.run("ce_scaled", epochs=1)
    cohort = lab.open(config, other)
    for name, buffer in cohort.members[0].trainer.network.named_buffers():
        if name.endswith("running_var"):
            buffer.fill_(-1e9)
    train(cohort, StopAfter(10**9), lambda trainer, record: None)
    state = state_of(lab.folder(config))
    assert (state.name, state.code, state.epoch) == ("failed", "divergence", 0)
    assert state.reason == (
        "'ce' on the test images is not finite after epoch 1: in eval mode the network's outputs "
        "overflow"
    )
    assert state_of(lab.folder(other)).name == "done"
