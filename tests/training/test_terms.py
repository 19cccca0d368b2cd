"""What a method claims: its own loss is lower for its student than for a pure one."""

from __future__ import annotations

import pytest

from lab import Lab
from stillhouse.errors import RunError
from stillhouse.training.terms import compare

LONGER = {"epochs": 6, "train_images": 640}


def test_logit_rkd_and_fitnets_come_closer_to_the_teacher_than_pure_does(lab: Lab) -> None:
    runs = [lab.run(name, **LONGER) for name in ("pure", "logit", "rkd", "fitnets")]
    lab.train(*runs)
    found = list(compare(runs[1:], lab.place))
    assert [one.run.method for one in found] == ["logit", "rkd", "fitnets"]
    assert all(0 < one.own < one.pure for one in found)


def test_it_is_the_weighted_loss_that_the_run_recorded(lab: Lab) -> None:
    pure, logit = lab.run("pure"), lab.run("logit")
    lab.train(pure, logit)
    (found,) = compare([logit], lab.place)
    kl_at_1 = lab.folder(logit).records()[-1]["test"]["kl"]
    (at_1,) = compare([logit.model_copy(update={"parameters": {"temperature": 1.0}})], lab.place)
    assert at_1.own == pytest.approx(0.9 * kl_at_1, rel=1e-4)
    assert found.own != at_1.own


def test_without_the_pure_run_there_is_nothing_to_compare_with(lab: Lab) -> None:
    lab.train(lab.run("logit"))
    with pytest.raises(RunError, match=r"pure.* is not finished"):
        list(compare([lab.run("logit")], lab.place))
