"""What a cohort shares, and what is a run's own."""

from __future__ import annotations

import json

import pytest
import torch

from small_runs import ALL_METHODS, Lab, StopAfter
from stillhouse.errors import RunError
from stillhouse.runs.folder import RunFolder
from stillhouse.training import cohort as cohort_module
from stillhouse.training.cohort import check_same
from stillhouse.training.loop import train
from stillhouse.training.reopen import reopen


def weights(lab: Lab, method: str, **recipe: object) -> dict[str, torch.Tensor]:
    return lab.open(lab.run(method, **recipe)).members[0].trainer.network.state_dict()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def test_initial_weights_depend_on_seed_and_architecture_only(lab: Lab) -> None:
    cohort = lab.open(*(lab.run(method) for method in ALL_METHODS))
    first, *others = [member.trainer.network.state_dict() for member in cohort.members]
    assert all(same(first, other) for other in others)
    assert not same(first, weights(lab, "pure", seed=1))


def test_a_cohort_shares_its_batches_and_looks_at_the_teacher_once(lab: Lab) -> None:
    cohort = lab.open(lab.run("logit"), lab.run("nst"))
    seen: list[torch.Tensor] = []
    teacher = cohort.shared.teacher
    assert teacher is not None
    handle = teacher.network.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    train(cohort, StopAfter(1), lambda trainer, record: None)
    handle.remove()
    assert len(seen) == 1


def test_validation_images_are_not_trained_on_and_are_the_same_for_every_seed(lab: Lab) -> None:
    zero, one = (reopen([lab.run("pure", seed=seed, validation=100)], lab.place) for seed in (0, 1))
    assert zero.validation is not None and one.validation is not None
    assert len(zero.validation) == 100 and len(zero.data.train) == 200
    assert torch.equal(zero.validation.ids, one.validation.ids)
    assert set(zero.validation.ids.tolist()).isdisjoint(zero.data.train.ids.tolist())


def test_every_seed_has_its_own_order_of_the_same_images(lab: Lab) -> None:
    zero, again, one = (
        reopen([lab.run("pure", seed=seed)], lab.place).batches.batch(0, 0) for seed in (0, 0, 1)
    )
    assert torch.equal(zero.images, again.images)
    assert not torch.equal(zero.ids, one.ids)


def test_a_run_records_where_its_numbers_come_from(lab: Lab) -> None:
    config = lab.run("logit")
    cohort = lab.open(config)
    run = json.loads(lab.folder(config).run.read_text())
    assert run["config"]["parameters"] == {"temperature": 4.0}
    assert run["coefficients"] == {"ce": 0.1, "kd": 0.9}
    assert run["effective_ratio"]["kd"] == pytest.approx(9)
    assert cohort.shared.teacher is not None
    assert run["teacher"]["sha256"] == cohort.shared.teacher.facts["sha256"]
    assert run["machine"]["threads"] == 1 and run["code"]["version"]
    assert len(run["data"]) == len(run["identity"]) == 64


def test_the_teacher_stays_as_it_was(lab: Lab) -> None:
    cohort = lab.open(lab.run("logit"))
    teacher = cohort.shared.teacher
    assert teacher is not None and not teacher.network.training
    assert not any(p.requires_grad for p in teacher.network.parameters())
    teacher.check_unchanged()
    teacher.network.bn.running_mean += 1e-3  # type: ignore[union-attr,operator]
    with pytest.raises(RunError, match="the teacher changed"):
        teacher.check_unchanged()


def test_a_run_on_the_same_images_in_another_order_is_refused_with_the_reason(lab: Lab) -> None:
    run = lab.run("pure")
    lab.train(run)
    folder = RunFolder(lab.experiments / run.path)
    with pytest.raises(RunError, match=r"data: .* -> other") as caught:
        check_same(folder, run, {"data": "other", "teacher": None})
    assert "another order" in caught.value.hint


def test_a_run_keeps_its_identity_where_a_later_version_hashes_it_otherwise(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lab.run("pure")
    lab.train(run, steps=4)
    monkeypatch.setattr(cohort_module, "identity", lambda config: "f" * 64)
    complaints: list[str] = []
    member = lab.open(run, complaints=complaints).members[0]
    assert (complaints, member.trainer.position) == ([], (1, 1))
    member.recorder.stop(member.trainer, "enough", "killed")
    assert lab.train(run) is None
    result, started = lab.folder(run).completed(), lab.folder(run).started()
    assert result is not None and started is not None
    assert result["identity"] == started["identity"] != "f" * 64
