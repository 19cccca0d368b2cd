"""Every method x precision x pair through the loop: cohort = alone, resumed = uninterrupted.

The loop itself refuses a teacher that changed, at the end of every epoch.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.config.schema import Precision
from stillhouse.training.contract.loss import PRECISIONS
from stillhouse.training.contract.runs import RECIPE, ShortRuns, require_same
from stillhouse.training.contract.setup import PAIRS, unusual_network_file
from training.contract.cases import CASES, case_id


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("pair", ["the same kind", "another kind"])
def test_table(pair: str, precision: Precision, tmp_path: Path) -> None:
    recipe = RECIPE.model_copy(
        update={"epochs": 1, "batch_size": 4, "train_images": 12, "precision": precision}
    )
    runs = ShortRuns(tmp_path, *PAIRS[pair], recipe=recipe, files=(unusual_network_file(),))
    runs.train_teachers()
    together = runs.outcomes("together", CASES)
    resumed = runs.outcomes("resumed", CASES, stops=(1,))
    for number, case in enumerate(CASES):
        (alone,) = runs.outcomes(f"alone {number}", [case])
        require_same(together[number], alone, f"{case_id(case)}, in a cohort and alone")
        require_same(together[number], resumed[number], f"{case_id(case)}, resumed")
