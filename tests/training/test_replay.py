"""A run's first steps come out the same again, or `verify` says what did not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fake_rounds import edit
from small_runs import Lab
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.runs.folder import RunFolder
from stillhouse.training.replay import Verified, verify


def differing(found: Verified) -> list[str]:
    return [what for what, recorded, now in found.checks if recorded != now]


@pytest.fixture
def trained(lab: Lab) -> Callable[[str], tuple[RunConfig, RunFolder]]:
    def train(method: str) -> tuple[RunConfig, RunFolder]:
        config = lab.run(method)
        lab.train(config, steps=4)
        lab.train(config)
        return config, lab.folder(config)

    return train


@pytest.mark.parametrize("method", ["pure", "factor_transfer", "shuffled_teacher"])
def test_first_steps_are_the_same_again(method: str, lab: Lab, trained: Any) -> None:
    _, folder = trained(method)
    found = verify(folder, lab.place, 10)
    assert differing(found) == []
    assert [what for what, _, _ in found.checks if "steps" in what] == [
        f"weights after {steps} steps" for steps in (0, 1, 3)
    ]
    assert found.changed == []


def test_another_recipe_differs_from_the_first_step_on(lab: Lab, trained: Any) -> None:
    _, folder = trained("pure")

    def change(run: dict[str, Any]) -> None:
        run["config"]["training"]["learning_rate"] = 0.03

    edit(folder.run, change)
    found = verify(folder, lab.place, 1)
    assert differing(found) == ["weights after 1 steps"]


def test_another_teacher_dataset_and_machine_are_named(lab: Lab, trained: Any) -> None:
    _, folder = trained("logit")

    def change(run: dict[str, Any]) -> None:
        run["data"] = run["teacher"]["sha256"] = "0" * 64
        run["machine"]["processor"] = "another"

    edit(folder.run, change)
    found = verify(folder, lab.place, 0)
    assert differing(found) == ["dataset", "teacher's weights"]
    assert [field for field, _, _ in found.changed] == ["machine.processor"]


def test_a_run_without_a_finished_epoch_cannot_be_verified(lab: Lab) -> None:
    config = lab.run("pure")
    lab.train(config, steps=1)
    with pytest.raises(RunError, match="no hash of its first steps"):
        verify(lab.folder(config), lab.place, 10)
