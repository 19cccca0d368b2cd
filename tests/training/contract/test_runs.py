"""Every method x precision x pair through the loop: cohort = alone, resumed = uninterrupted.

The loop itself refuses a teacher that changed, at the end of every epoch.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from stillhouse.config.schema import Precision
from stillhouse.training.contract.loss import PRECISIONS
from stillhouse.training.contract.runs import RECIPE, ShortRuns, require_same
from stillhouse.training.contract.setup import PAIRS, unusual_network_file
from training.contract.cases import WHOLE, case_id, share

COMBINATIONS = [*product(["the same kind", "another kind"], PRECISIONS)]


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize(("pair", "precision"), COMBINATIONS)
def test_table(pair: str, precision: Precision, whole: bool, tmp_path: Path) -> None:
    """By default each case meets one combination; in fp32 the tests of the loop have them all."""
    cases = share(COMBINATIONS.index((pair, precision)), len(COMBINATIONS), whole)
    recipe = RECIPE.model_copy(
        update={"epochs": 1, "batch_size": 4, "train_images": 12, "precision": precision}
    )
    runs = ShortRuns(tmp_path, *PAIRS[pair], recipe=recipe, files=(unusual_network_file(),))
    runs.train_teachers()
    together = runs.outcomes("together", cases)
    resumed = runs.outcomes("resumed", cases, stops=(1,))
    for number, case in enumerate(cases):
        (alone,) = runs.outcomes(f"alone {number}", [case])
        require_same(together[number], alone, f"{case_id(case)}, in a cohort and alone")
        require_same(together[number], resumed[number], f"{case_id(case)}, resumed")
