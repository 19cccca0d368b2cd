"""The loop's promises: a cohort equals lone runs, a resumed run equals an uninterrupted one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from small_runs import ALL_METHODS, Lab
from stillhouse.config.schema import Distillation
from stillhouse.errors import RunError, TrainingError
from stillhouse.runs.claim import Busy, Claim
from stillhouse.runs.folder import Attempt
from stillhouse.runs.state import state_of
from stillhouse.training import recorder as recorder_module
from stillhouse.training import trainer as trainer_module
from stillhouse.training.loop import train


@pytest.fixture(scope="module")
def together(
    tmp_path_factory: pytest.TempPathFactory, teachers: Any
) -> Callable[[str], dict[str, Any]]:
    """What each method's run comes to when all methods train in one cohort."""
    lab = Lab(tmp_path_factory.mktemp("together"), teachers, teachers)
    lab.train(*map(lab.run, ALL_METHODS))
    return lambda method: lab.outcome(lab.run(method))


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_run_in_a_cohort_ends_as_it_does_alone(
    method: str, lab: Lab, together: Callable[[str], dict[str, Any]]
) -> None:
    config = lab.run(method)
    lab.train(config)
    assert lab.outcome(config) == together(method)


@pytest.mark.parametrize("method", ALL_METHODS)
def test_a_run_stopped_twice_in_mid_epoch_ends_as_if_never_stopped(
    method: str, lab: Lab, together: Callable[[str], dict[str, Any]]
) -> None:
    config = lab.run(method)
    assert lab.train(config, steps=1) == "enough"
    assert state_of(lab.folder(config)).name == "stopped"
    assert lab.train(config, steps=3) == "enough"
    assert lab.train(config) is None
    assert lab.outcome(config) == together(method)
    assert len(lab.folder(config).attempts()) == 3


def test_members_at_different_steps_catch_up(
    lab: Lab, together: Callable[[str], dict[str, Any]]
) -> None:
    lab.train(lab.run("logit"), steps=4)
    lab.train(lab.run("pure"), steps=1)
    configs = [lab.run("logit"), lab.run("pure"), lab.run("nst")]
    lab.train(*configs)
    assert [lab.outcome(one) for one in configs] == [together(one.method) for one in configs]


def test_a_member_that_fails_leaves_with_its_reason_and_the_others_go_on(
    lab: Lab, together: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = lab.open(lab.run("pure"), lab.run("logit"))
    bad = cohort.members[1].trainer.method
    monkeypatch.setattr(bad, "terms", lambda *_: {"kd": torch.tensor(float("nan"))})
    train(cohort, NeverStop(), lambda trainer, record: None)
    state = state_of(lab.folder(lab.run("logit")))
    assert (state.name, "the loss term 'kd' is not finite" in state.reason) == ("failed", True)
    assert lab.outcome(lab.run("pure")) == together("pure")
    assert cohort.failures == 1


def test_an_error_inside_a_method_is_kept_with_its_traceback(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = lab.open(lab.run("logit"))
    monkeypatch.setattr(cohort.members[0].trainer.method, "terms", lambda *_: {}["missing"])
    train(cohort, NeverStop(), lambda trainer, record: None)
    folder = lab.folder(lab.run("logit"))
    assert state_of(folder).reason == "KeyError: 'missing'"
    assert "Traceback" in folder.attempts()[0].log.read_text()


def test_a_non_finite_gradient_names_its_parameter(lab: Lab) -> None:
    cohort = lab.open(lab.run("pure"))
    trainer = cohort.members[0].trainer
    trainer.network.layer2.register_full_backward_hook(  # type: ignore[union-attr]
        lambda module, inputs, outputs: (inputs[0] * float("inf"),)
    )
    with pytest.raises(TrainingError, match=r"gradient of (conv|bn|layer1).* is not finite"):
        trainer.step(cohort.shared.batches.batch(0, 0), None)


def test_a_scaler_that_skips_every_step_is_caught(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Round charlie's silent failure: a finite loss whose gradient is never finite."""
    monkeypatch.setattr(trainer_module.health_checks, "STUCK_STEPS", 3)
    cohort = lab.open(lab.run("pure", precision="fp16"))
    trainer = cohort.members[0].trainer
    before = [p.clone() for p in trainer.network.parameters()]
    original = trainer.method.task_loss

    def naive(outputs: Any, batch: Any, smoothing: float) -> torch.Tensor:
        # sqrt at 0, as on the diagonal of a distance matrix: value 0, gradient 0 * inf = NaN
        zero = (outputs.features["pooled"] * 0).sum()
        return original(outputs, batch, smoothing) + torch.sqrt(zero)

    monkeypatch.setattr(trainer.method, "task_loss", naive)
    train(cohort, NeverStop(), lambda trainer, record: None)
    state = state_of(lab.folder(lab.run("pure", precision="fp16")))
    assert state.name == "failed" and "skipped 3 steps in a row" in state.reason
    unmoved = zip(before, trainer.network.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in unmoved)


def test_a_changed_configuration_refuses_to_resume_and_shows_the_difference(lab: Lab) -> None:
    lab.train(lab.run("pure"), steps=1)
    complaints: list[str] = []
    from stillhouse.training.cohort import open_cohort

    open_cohort([lab.run("pure", learning_rate=0.03)], lab.place, complaints.append)
    assert "training.learning_rate: 0.02 -> 0.03" in complaints[0]
    assert len(lab.folder(lab.run("pure")).attempts()) == 1


def test_two_processes_never_write_one_run(lab: Lab) -> None:
    folder = lab.folder(lab.run("pure"))
    Claim.take(folder)
    with pytest.raises(Busy, match="process"):
        Claim.take(folder)


def test_an_attempt_that_was_overtaken_writes_nothing_more(lab: Lab) -> None:
    config = lab.run("pure")
    cohort = lab.open(config)
    lab.folder(config).attempt(2).path.mkdir()
    train(cohort, NeverStop(), lambda trainer, record: None)
    assert cohort.members == [] and cohort.failures == 0
    assert lab.folder(config).attempts()[0].metrics.read_text() == ""
    assert not lab.folder(config).result.exists()


def test_long_epochs_are_saved_in_their_middle(
    lab: Lab, together: Callable[[str], dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder_module, "SAVE_SECONDS", 0.0)
    cohort = lab.open(lab.run("logit"))
    with pytest.raises(KeyboardInterrupt):
        train(cohort, KillAfter(2), lambda trainer, record: None)
    lab.folder(lab.run("logit")).attempts()[0].claim.unlink()  # its process is gone
    make_expired(lab.folder(lab.run("logit")).attempts()[0])
    resumed = lab.open(lab.run("logit"))
    assert resumed.members[0].trainer.position == (0, 2)
    train(resumed, NeverStop(), lambda trainer, record: None)
    assert lab.outcome(lab.run("logit")) == together("logit")


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    lab: Lab, together: Callable[[str], dict[str, Any]]
) -> None:
    config = lab.run("logit")
    lab.train(config, steps=5)
    attempt = lab.folder(config).attempts()[0]
    data = bytearray(attempt.checkpoint.read_bytes())
    data[len(data) // 2] ^= 1
    attempt.checkpoint.write_bytes(bytes(data))
    complaints: list[str] = []
    lab.train(config, complaints=complaints)
    assert lab.outcome(config) == together("logit")
    assert "damaged" in lab.folder(config).attempts()[1].log.read_text()
    assert [str(attempt.checkpoint) in line for line in complaints] == [True]


def test_students_refuse_a_teacher_whose_weights_were_changed(
    lab: Lab, tmp_path: Any, teachers: Any
) -> None:
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(teachers, copy)
    weights = copy / "Digits/pure/ResNetBaby/7/final.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    changed = Lab(lab.experiments, copy, lab.data_root)
    with pytest.raises(RunError, match="not the file that was recorded"):
        changed.open(lab.run("logit"))


def test_students_refuse_an_unfinished_teacher(lab: Lab, tmp_path: Any) -> None:
    with pytest.raises(RunError, match="not finished"):
        Lab(lab.experiments, tmp_path, lab.data_root).open(lab.run("logit"))


def test_records_hold_what_diagnosis_needs(lab: Lab) -> None:
    config = lab.run("logit")
    lab.train(config)
    records = [json.loads(line) for line in lab.folder(config).metrics().read_text().splitlines()]
    last = records[-1]
    assert [record["epoch"] for record in records] == [1, 2]
    assert set(last["train"]) == {"ce", "kd", "total", "accuracy"}
    measured = {"accuracy", "ce", "agreement", "kl", "classes_predicted", "ece"}
    assert measured == set(last["test"])
    assert {"norm", "ce", "kd", "cosine"} == set(last["gradients"])
    assert -1 <= last["gradients"]["cosine"] <= 1
    expected = 0.1 * last["train"]["ce"] + 0.9 * last["train"]["kd"]
    assert last["train"]["total"] == pytest.approx(expected, rel=1e-6)
    assert last["update_ratio"] > 0 and last["scaler"]["skipped"] == 0


def test_a_student_without_distillation_is_the_pure_one(lab: Lab) -> None:
    """The end of a sweep of alpha: no gradient to compare, and not a bit of difference."""
    pure, taught = lab.run("pure"), lab.run("logit")
    none = taught.model_copy(update={"distillation": Distillation(total="convex", alpha=0.0)})
    lab.train(pure)
    lab.train(none)
    assert lab.outcome(none)["weights"]["final"] == lab.outcome(pure)["weights"]["final"]
    assert [set(record["gradients"]) for record in lab.outcome(none)["records"]] == [{"norm"}] * 2


def make_expired(attempt: Attempt) -> None:
    status = json.loads(attempt.status.read_text())
    attempt.status.write_text(json.dumps({**status, "heartbeat": 0}))


class KillAfter:
    """Ends the process's training without a word, as a kill does."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def reason(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


class NeverStop:
    def reason(self) -> None:
        return None
