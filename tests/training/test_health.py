"""The GPU's way of checking steps, on the CPU: nothing is read in a step, and nothing is missed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from small_runs import ALL_METHODS, Lab
from stillhouse import methods
from stillhouse.errors import TrainingError
from stillhouse.methods import rkd
from stillhouse.models.base import Outputs
from stillhouse.runs.state import state_of
from stillhouse.training import health_checks
from stillhouse.training import trainer as trainer_module
from stillhouse.training.graphs import WARM_UP, put_back
from stillhouse.training.loop import Cohort, train
from stillhouse.training.trainer import Trainer


@pytest.fixture
def device_lab(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose runs step as they do on a GPU."""
    monkeypatch.setattr(trainer_module, "waits_for", lambda device: False)
    return lab


SMALL = {"batch_size": 16, "train_images": 50}  # three steps an epoch; fp16 is slow on a CPU


class Unread(TorchDispatchMode):
    """Refuses what makes a program wait for a GPU."""

    READS = ("_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "unique")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in self.READS, f"{func} waits for the device"
        return func(*args, **(kwargs or {}))


@contextmanager
def unread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(self: torch.Tensor, *_: object) -> None:
        raise AssertionError("a tensor is copied to the host")

    with monkeypatch.context() as patch, Unread():
        for name in ("tolist", "cpu", "numpy", "item"):
            patch.setattr(torch.Tensor, name, refuse)
        yield


def not_finite(student: Outputs, *_: object) -> dict[str, torch.Tensor]:
    return {"kd": student.logits.sum() * float("nan")}


def step(cohort: Cohort, trainer: Trainer) -> None:
    batch = cohort.shared.inputs.batch(cohort.shared.batches.batch(*trainer.position))
    trainer.step(batch, cohort.shared.inputs.teach(batch))


@pytest.mark.parametrize(
    ("method", "precision"), [*((name, "fp32") for name in ALL_METHODS), ("logit", "fp16")]
)
def test_no_step_reads_what_it_has_computed(
    method: str, precision: str, device_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = device_lab.open(device_lab.run(method, precision=precision))
    trainer = cohort.members[0].trainer
    step(cohort, trainer)  # of a cold start: a teacher is calibrated, weights are hashed
    for epoch, number in ((1, 0), (1, 1)):
        trainer.position = (epoch, number)
        batch = cohort.shared.batches.batch(epoch, number)
        taught = cohort.shared.inputs.teach(batch)
        with unread(monkeypatch):
            trainer.step(batch, taught)
            assert set(trainer.progress()) >= {"steps"}
    trainer.check_health()
    assert trainer.epoch_metrics.means()["ce"] > 0
    assert trainer.progress()["loss"] == trainer.epoch_metrics.means()["total"]


@pytest.mark.parametrize(("method", "precision"), [("fitnets", "fp32"), ("logit", "fp16")])
def test_a_run_learns_what_it_learns_when_every_step_is_checked(
    method: str, precision: str, lab: Lab, make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = lab.run(method, precision=precision, **SMALL)
    lab.train(config)
    monkeypatch.setattr(trainer_module, "waits_for", lambda device: False)
    other = make_lab("other")
    other.train(config, steps=4)  # and goes on from a checkpoint in mid-epoch
    other.train(config)
    for one, two in zip(
        lab.outcome(config)["records"], other.outcome(config)["records"], strict=True
    ):
        assert two["train"] == pytest.approx(one["train"], rel=2e-2)
        assert two["scaler"] == one["scaler"]
        assert two["gradients"] == pytest.approx(one["gradients"], rel=5e-2)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_the_first_bad_step_and_its_term_are_named_and_nothing_after_it_is_kept(
    precision: str, device_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = device_lab.open(device_lab.run("logit", precision=precision))
    trainer = cohort.members[0].trainer
    step(cohort, trainer)
    before = [p.detach().clone() for p in trainer.network.parameters()]
    genuine = trainer.method.terms
    monkeypatch.setattr(trainer.method, "terms", not_finite)
    step(cohort, trainer)
    monkeypatch.setattr(trainer.method, "terms", genuine)
    if precision == "fp32":
        assert all(map(torch.equal, before, trainer.network.parameters()))
    with pytest.raises(TrainingError, match=r"'kd' is not finite at epoch 0 step 1$"):
        trainer.state()


def test_a_bad_gradient_names_its_parameter_at_the_next_look(device_lab: Lab) -> None:
    cohort = device_lab.open(device_lab.run("pure"))
    trainer = cohort.members[0].trainer
    trainer.network.layer2.register_full_backward_hook(  # type: ignore[union-attr]
        lambda module, inputs, outputs: (inputs[0] * float("inf"),)
    )
    step(cohort, trainer)
    with pytest.raises(TrainingError, match=r"gradient of (conv|bn|layer1).* epoch 0 step 0"):
        trainer.check_health()


def test_a_failed_run_leaves_no_checkpoint_of_a_bad_step(
    device_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = device_lab.run("logit")
    cohort = device_lab.open(config)
    monkeypatch.setattr(cohort.members[0].trainer.method, "terms", not_finite)
    train(cohort, Forever(), lambda trainer, record: None)
    folder = device_lab.folder(config)
    assert "'kd' is not finite at epoch 0 step 0" in state_of(folder).reason
    assert not folder.attempts()[0].checkpoint.exists()


def test_a_scaler_that_skips_every_step_is_caught(
    device_lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health_checks, "STUCK_STEPS", 3)
    config = device_lab.run("pure", precision="fp16")
    cohort = device_lab.open(config)
    trainer = cohort.members[0].trainer
    before = [p.detach().clone() for p in trainer.network.parameters()]
    original = trainer.method.task_loss

    def naive(outputs: Any, batch: Any, smoothing: float) -> torch.Tensor:
        return original(outputs, batch, smoothing) + (outputs.features["pooled"] * 0).sum().sqrt()

    monkeypatch.setattr(trainer.method, "task_loss", naive)
    train(cohort, Forever(), lambda trainer, record: None)
    reason = state_of(device_lab.folder(config)).reason
    assert "skipped 3 steps in a row up to epoch 0 step 2: the gradient of conv" in reason
    assert all(map(torch.equal, before, trainer.network.parameters()))


class FakeGraph:
    """A graph that does its steps anew, after the same warm-up."""

    captured, draws, seconds = 0, False, 0.25

    def __init__(self, run: Any, changed: Any, read: Any) -> None:
        type(self).captured += 1
        with put_back(changed()):
            for _ in range(WARM_UP):
                run()
        self.run, self.read = run, read

    def fits(self, *read: Any) -> bool:
        return all(a is b for a, b in zip(read, self.read, strict=True))

    def replay(self) -> Any:
        return self.run()


@pytest.mark.parametrize(
    ("method", "precision"), [("fitnets", "fp16"), ("rkd", "fp32"), ("random_teacher", "fp32")]
)
def test_a_graphs_warm_up_leaves_no_trace(
    method: str, precision: str, device_lab: Lab, make_lab: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = device_lab.run(method, precision=precision, **SMALL)
    device_lab.train(config)
    monkeypatch.setattr(trainer_module, "graphed", lambda training, device: True)
    monkeypatch.setattr(trainer_module, "StepGraph", FakeGraph)
    FakeGraph.captured = 0
    other = make_lab("graphed")
    other.train(config, steps=2)
    other.train(config)
    assert other.outcome(config) == device_lab.outcome(config)
    assert FakeGraph.captured > 0
    lines = other.folder(config).metrics().read_text().splitlines()
    took = json.loads(lines[-1])["time"]
    assert took["seconds"] > 2 * FakeGraph.seconds  # two of the epoch's three steps are replays


def test_rkd_has_few_launches_on_a_gpu_and_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    teacher, student = (torch.randn(128, 16, generator=generator) for _ in range(2))

    def measure() -> tuple[int, torch.Tensor, torch.Tensor]:
        leaf = student.clone().requires_grad_()
        with Counting() as count:
            loss = rkd.angle_loss(leaf, teacher)
            torch.autograd.backward(loss)
        assert leaf.grad is not None
        return count.operations, loss.detach(), leaf.grad

    many, loss, gradient = measure()
    monkeypatch.setattr(rkd, "CHUNK", rkd.CUDA_CHUNK)
    few, same_loss, same_gradient = measure()
    assert (few < 160, many > 5 * few) == (True, True), (few, many)
    assert torch.equal(loss, same_loss)
    torch.testing.assert_close(gradient, same_gradient, rtol=1e-6, atol=1e-12)


class Counting(TorchDispatchMode):
    operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.operations += 1
        return func(*args, **(kwargs or {}))


class Forever:
    def reason(self) -> None:
        return None


def test_built_in_methods_are_recorded_but_for_those_that_draw_on_the_cpu() -> None:
    eager = {name for name in ALL_METHODS if not methods.load(name).capturable}
    assert eager == {"shuffled_teacher", "crd"}
