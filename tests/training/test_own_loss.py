"""What a method claims: its own loss is lower for its student than for a pure one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

import pytest
import torch

from fake_rounds import edit
from small_runs import Lab
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.runs.own_loss import OwnLoss
from stillhouse.training import own_loss as terms
from stillhouse.training.own_loss import FITS, compare
from stillhouse.training.reopen import Place, Shared

LONGER = {"epochs": 6, "train_images": 640}


def test_logit_rkd_and_fitnets_come_closer_to_the_teacher_than_pure_does(lab: Lab) -> None:
    runs = [lab.run(name, **LONGER) for name in ("pure", "logit", "rkd", "fitnets")]
    lab.train(*runs)
    found = list(compare(runs[1:], lab.place))
    assert [one.run.method for one in found] == ["logit", "rkd", "fitnets"]
    assert [one.losses.verdict for one in found] == ["lower"] * 3


def test_it_is_the_weighted_loss_that_the_run_recorded(lab: Lab) -> None:
    pure, logit = lab.run("pure"), lab.run("logit")
    lab.train(pure, logit)
    (found,) = compare([logit], lab.place)
    kl_at_1 = lab.folder(logit).records()[-1]["test"]["kl"]
    (at_1,) = compare([logit.model_copy(update={"parameters": {"temperature": 1.0}})], lab.place)
    assert at_1.losses.own == pytest.approx((0.9 * kl_at_1,), rel=1e-4)
    assert found.losses.own != at_1.losses.own


def test_a_student_that_is_saved_with_a_part_of_its_teacher_is_found_again(lab: Lab) -> None:
    runs = [lab.run(name, epochs=3, train_images=640) for name in ("pure", "simkd")]
    lab.train(*runs)
    (found,) = compare(runs[1:], lab.place)
    assert found.losses.own < found.losses.pure
    own = lab.folder(runs[1]).completed()
    assert own is not None and own["cost"]["parameters"] > 83_892


def test_without_the_pure_run_there_is_nothing_to_compare_with(lab: Lab) -> None:
    lab.train(lab.run("logit"))
    with pytest.raises(RunError, match=r"pure.* is not finished"):
        list(compare([lab.run("logit")], lab.place))


def make_equal(lab: Lab, run: RunConfig, pure: RunConfig) -> None:
    """Put a run's student in the place of the pure one."""
    own, other = lab.folder(run), lab.folder(pure)
    shutil.copy(own.final, other.final)
    result = own.completed()
    assert result is not None
    final = result["weights"]["final"]
    edit(other.result, lambda content: content["weights"].update(final=final))


@pytest.mark.parametrize("method", ["random_teacher", "shuffled_teacher"])
def test_the_same_student_has_the_same_loss_whoever_it_is(lab: Lab, method: str) -> None:
    pure, run = lab.run("pure"), lab.run(method)
    lab.train(pure, run)
    make_equal(lab, run, pure)
    (found,) = compare([run], lab.place)
    assert found.losses.own == found.losses.pure
    assert found.losses.verdict == "no difference"


def test_a_comparison_does_not_depend_on_draws_or_comparisons_before(lab: Lab) -> None:
    runs = [lab.run(name) for name in ("pure", "shuffled_teacher", "logit", "fitnets")]
    lab.train(*runs)
    (first,) = compare(runs[1:2], lab.place)
    torch.rand(7)
    found = {one.run.method: one.losses for one in compare(runs[:0:-1], lab.place)}
    assert found["shuffled_teacher"] == first.losses


def test_each_run_is_measured_with_the_images_of_its_own_recipe(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, many = lab.run("logit"), lab.run("rkd", train_images=320)
    lab.train(lab.run("pure"), few)
    lab.train(many)
    prepared: list[int | None] = []
    real = terms.reopen

    def spy(runs: Sequence[RunConfig], place: Place) -> Shared:
        prepared.append(runs[0].training.train_images)
        return real(runs, place)

    monkeypatch.setattr(terms, "reopen", spy)
    assert len(list(compare([few, many], lab.place))) == 2
    assert prepared == [200, 320]


def test_modules_that_lag_behind_are_fitted_to_both_students(lab: Lab) -> None:
    """A translator trained beside a moving student against one fitted to a frozen one is unfair."""
    pure, run = lab.run("pure"), lab.run("factor_transfer")
    lab.train(pure, run)
    make_equal(lab, run, pure)
    steps: list[tuple[str, int, int]] = []
    (found,) = compare([run], lab.place, 4, lambda *told: steps.append(told))
    assert found.losses.own == found.losses.pure
    assert (len(set(found.losses.own)), found.losses.fit_epochs) == (FITS, 4)
    assert [part for part, done, of in steps if done == of] == [
        "Digits, seed 0: fitting modules of factor_transfer to the pure student",
        "Digits, seed 0: measuring on test images",
        "Digits, seed 0: fitting modules of factor_transfer to their own students",
        "Digits, seed 0: measuring on test images",
    ]


def test_modules_that_already_show_it_are_not_fitted_again(lab: Lab) -> None:
    pure, run = (lab.run(name, epochs=12, train_images=640) for name in ("pure", "fitnets"))
    lab.train(pure, run)
    (found,) = compare([run], lab.place)
    assert (len(found.losses.own), len(found.losses.pure)) == (1, FITS)


@pytest.mark.parametrize(
    ("own", "pure", "verdict"),
    [
        ((1.0,), (1.1,), "lower"),
        ((1.1,), (1.0,), "higher"),
        ((1.0,), (1.0,), "no difference"),
        ((1.0, 1.2, 1.1), (1.3, 1.4, 1.5), "lower"),
        ((1.0, 1.3, 1.1), (1.2, 1.4, 1.5), "lower"),
        ((1.0, 1.3, 1.6), (1.2, 1.4, 1.5), "no difference"),
        ((2.0, 2.3, 2.1), (1.2, 1.4, 1.9), "higher"),
        ((1.0, 2.0), (1.0, 3.0), "no difference"),
        ((2.0,), (1.0, 3.0), "no difference"),
    ],
)
def test_fits_that_do_not_agree_are_no_difference(
    own: tuple[float, ...], pure: tuple[float, ...], verdict: str
) -> None:
    assert OwnLoss(own, pure).verdict == verdict
