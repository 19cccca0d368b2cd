"""What figures read from extracted networks themselves: logits and layers of valid runs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from stillhouse.represent.store import Rows
from stillhouse.show.figures.drawn import NothingToDraw, Tables
from stillhouse.show.figures.panels import in_order

NOT_EXTRACTED = "no valid run is extracted (`stillhouse extract`)"


def by_arm(tables: Tables, dataset: str) -> Iterator[tuple[str, str, list[Rows]]]:
    """Yield every arm with its role and the test rows of its valid, extracted runs.

    Runs whose logits are not finite are left out. Raises NothingToDraw if there is none.
    """
    runs, found = tables.valid(dataset), False
    for arm in in_order(runs["arm"]):
        own = runs[runs["arm"] == arm]
        opened = (tables.extracted(run) for run in own["run"])
        rows = [one.test for one in opened if one and np.isfinite(one.test.logits).all()]
        if rows:
            found = True
            yield arm, str(own["role"].iloc[0]), rows
    if not found:
        raise NothingToDraw(NOT_EXTRACTED)


def seeds_of(data: pd.DataFrame) -> list[int]:
    """The number of runs behind each arm, of a table with the columns arm and n."""
    return [int(n) for n in data.groupby("arm")["n"].max()]
