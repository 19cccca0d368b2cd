"""What befalls a worker before it trains is written into its runs' folders."""

from __future__ import annotations

import sys

import pytest

from lab import Lab
from stillhouse.config.schema import RunConfig
from stillhouse.errors import DataError, RunError
from stillhouse.runs.state import state_of
from stillhouse.training.worker import work


def train(lab: Lab, *configs: RunConfig) -> int:
    def ignore(text: str) -> None:
        pass

    return work(list(configs), lab.place, None, None, say=ignore, complain=ignore)


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
