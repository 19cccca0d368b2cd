"""Probes over depth: the classes read from each layer linearly, and by its neighbours."""

from __future__ import annotations

import pandas as pd

from stillhouse.show.figures.depth import over_depth
from stillhouse.show.figures.drawn import Drawn, Tables
from stillhouse.show.figures.panels import by_layer

MEASURES = {"linear_probe": "linear probe (%)", "knn_probe": "nearest-neighbour probe (%)"}
READING = (
    "each line is one method's mean over seeds, small marks are seeds; black is the teacher, grey "
    "the pure student. A layer whose linear probe is high and whose neighbour probe is low holds "
    "the classes, but does not gather them. Early layers show where a method acts: a hint at a "
    "middle layer should raise that layer first. The axes are zoomed."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw the arms of a dataset. Raises NothingToDraw."""
    what = (
        "Accuracy on the test images of two probes fitted on each layer's features of the training "
        "images."
    )
    return over_depth(tables, dataset, MEASURES, _title, (what, READING))


def _title(found: pd.DataFrame, dataset: str) -> str:
    last = by_layer(found["layer"])[-1]
    some = found[(found["layer"] == last) & (found["measure"] == "linear_probe")]
    means = some[some["role"] != "teacher"].groupby("arm")["value"].mean()
    if means.empty:
        return f"{dataset}: probes over depth"
    best = str(means.idxmax())
    return f"{dataset}, {last}: the best linear probe of a student is {means[best]:.1f} %, {best}"
