"""Every option of the recipe through the loop: cohort = alone, resumed = uninterrupted."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.config.format_1 import is_later
from stillhouse.config.schema import Training
from stillhouse.training.contract.runs import RECIPE, ShortRuns, require_same
from stillhouse.training.contract.setup import MethodCase
from training.recipes import RECIPES

# A teacher, modules of its own, another evaluated network, its own parameter groups.
METHODS = [MethodCase("pure"), MethodCase("logit"), MethodCase("cc"), MethodCase("simkd")]
DEVICE_ONLY = {"tf32", "cuda_graphs"}  # of no effect on a CPU


def test_every_option_of_the_recipe_is_in_the_table() -> None:
    later = {name for name in Training.model_fields if is_later(f"training.{name}")}
    assert later - DEVICE_ONLY <= {name for row in RECIPES.values() for name in row}


@pytest.mark.parametrize("option", RECIPES)
def test_table(option: str, tmp_path: Path) -> None:
    changes = {"batch_size": 4, "train_images": 12, "epochs": 2, **RECIPES[option]}
    recipe = Training(**{**RECIPE.model_dump(), **changes})
    runs = ShortRuns(tmp_path, recipe=recipe)
    runs.train_teachers()
    together = runs.outcomes("together", METHODS)
    resumed = runs.outcomes("resumed", METHODS, stops=(1, 4))
    for number, case in enumerate(METHODS):
        (alone,) = runs.outcomes(f"alone {number}", [case])
        require_same(together[number], alone, f"{case.name}, in a cohort and alone")
        require_same(together[number], resumed[number], f"{case.name}, resumed")
