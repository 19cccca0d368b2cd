"""The paraphraser: trained once a teacher, kept, shared, frozen."""

from __future__ import annotations

from pathlib import Path

import torch

from small_runs import Lab

METHOD = "factor_transfer"


def cached(lab: Lab) -> list[Path]:
    return sorted((lab.experiments / "pretrained").glob("*.safetensors"))


def test_it_is_trained_once_a_teacher_and_seed_and_then_read(lab: Lab) -> None:
    lab.open(lab.run(METHOD))
    (file,) = cached(lab)
    before = file.stat().st_mtime_ns
    lab.open(
        lab.run(METHOD, weight_decay=1e-4, learning_rate=0.01).model_copy(
            update={"model": "ResNet20"}
        )
    )
    assert [path.stat().st_mtime_ns for path in cached(lab)] == [before]
    lab.open(lab.run(METHOD, seed=1))
    assert len(cached(lab)) == 2


def test_it_depends_on_the_teacher_and_not_on_the_student(lab: Lab, make_lab: object) -> None:
    small = lab.open(lab.run(METHOD)).members[0].trainer.method
    (file,) = cached(lab)
    content = file.read_bytes()
    file.unlink()
    large = lab.open(lab.run(METHOD, model="ResNet20")).members[0].trainer.method
    assert [path.read_bytes() for path in cached(lab)] == [content]
    pairs = zip(small.paraphraser.parameters(), large.paraphraser.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_it_stays_frozen_and_in_eval_mode_while_the_student_learns(lab: Lab) -> None:
    cohort = lab.open(lab.run(METHOD))
    trainer = cohort.members[0].trainer
    before = [p.clone() for p in trainer.method.paraphraser.parameters()]
    batch = cohort.shared.batches.batch(0, 0)
    assert cohort.shared.teacher is not None
    trainer.step(batch, cohort.shared.teacher(batch))
    after = list(trainer.method.paraphraser.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert not trainer.method.paraphraser.training
    assert not any(p.requires_grad for p in after)
