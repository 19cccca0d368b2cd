"""What befalls a worker before it trains is written into its runs' folders."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from small_runs import Lab
from stillhouse.config.schema import RunConfig
from stillhouse.errors import DataError, RunError
from stillhouse.runs.state import state_of
from stillhouse.training import worker
from stillhouse.training.loop import Cohort
from stillhouse.training.trainer import Trainer
from stillhouse.training.worker import work


def train(lab: Lab, *configs: RunConfig) -> int:
    def ignore(text: str) -> None:
        pass

    return work(list(configs), lab.place, None, None, log=ignore, on_error=ignore)


def test_a_missing_package_is_the_reason_of_every_run(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = lab.run("pure"), lab.run("label_smoothing")
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match="needs the package scikit-learn"):
        train(lab, *runs)
    for run in runs:
        state = state_of(lab.folder(run))
        assert (state.name, "needs the package scikit-learn" in state.reason) == ("failed", True)
    monkeypatch.undo()
    assert train(lab, *runs) == 0
    assert {state_of(lab.folder(run)).name for run in runs} == {"done"}


def test_what_is_done_stays_done(lab: Lab) -> None:
    done, new = lab.run("logit"), lab.run("rkd")
    train(lab, done)
    lost = Lab(lab.experiments, lab.experiments, lab.data_root)
    with pytest.raises(RunError, match="not finished"):
        train(lost, done, new)
    assert state_of(lab.folder(done)).name == "done"
    assert state_of(lab.folder(new)).name == "failed"
    assert "the teacher in" in state_of(lab.folder(new)).reason


def test_a_cohort_that_a_gpu_does_not_hold_is_split_until_it_fits(
    lab: Lab, make_lab: Callable[[str], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [lab.run(method) for method in ("pure", "logit", "nst")]
    whole = make_lab("whole")
    whole.train(*runs)
    sizes = []
    opened = worker.open_cohort

    def crowded(*arguments: Any) -> Cohort:
        cohort = opened(*arguments)
        sizes.append(len(cohort.members))
        if len(cohort.members) > 1:
            last = cohort.members[-1].trainer
            monkeypatch.setattr(last, "step", full if len(sizes) > 1 else after(last.step, 4))
        return cohort

    monkeypatch.setattr(worker, "open_cohort", crowded)
    heard: list[str] = []
    assert work(runs, lab.place, None, None, log=lambda text: None, on_error=heard.append) == 0
    assert sizes == [3, 2, 1, 1, 1]
    assert [lab.outcome(run) for run in runs] == [whole.outcome(run) for run in runs]
    assert heard[0].startswith("out of GPU memory in a cohort of 3")


def test_a_run_that_does_not_fit_alone_fails_with_the_cure(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Trainer, "step", full)
    assert train(lab, lab.run("pure"), lab.run("label_smoothing")) == 1
    state = state_of(lab.folder(lab.run("pure")))
    assert (state.name, state.code) == ("failed", "oom-gpu")
    assert "alone in its process (CUDA out of memory. Tried" in state.reason
    assert "hint: fewer workers on this GPU (--jobs)" in state.reason


def full(*_: object, **__: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def after(step: Callable[..., None], times: int) -> Callable[..., None]:
    """`step` so many times, then no memory is left."""
    left = iter(range(times))

    def limited(*given: Any, **options: Any) -> None:
        if next(left, None) is None:
            full()
        step(*given, **options)

    return limited
