"""Intrinsic dimension from the distances to the two nearest rows."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure, Value
from stillhouse.represent.measures.inputs import Floats, Representation
from stillhouse.represent.measures.neighbours import two_nearest

STEPS = (1, 2, 4)


def dimension(x: Floats) -> tuple[float | None, str]:
    """Return (n - 1) / sum ln(r2 / r1) over the rows with r1 > 0, or None and the reason."""
    if len(x) < 3:
        return None, f"{len(x)} rows; at least 3 are needed"
    first, second = two_nearest(x).T
    kept = first > 0
    if kept.sum() < 2:
        return None, "nearly every row has a duplicate"
    total = float(np.log(second[kept] / first[kept]).sum())
    if total <= 0:
        return None, "the two nearest rows are equally far everywhere"
    return float(kept.sum() - 1) / total, ""


def _compute(representation: Representation) -> list[Value]:
    values = []
    for step in STEPS:
        rows = representation.x[::step]
        value, why = dimension(rows)
        values.append(Value(value, {"rows": len(rows), "scale": 1 / step}, why))
    return values


MEASURES = (
    Measure(
        name="twonn",
        kind="representation",
        unit="dimensions",
        range=(0.0, None),
        direction="neither",
        invariances=ROTATION,
        cost="N^2 D",
        citation="Facco et al. 2017; Denti et al. 2022 (maximum likelihood)",
        compute=_compute,
        definition="(n - 1) / sum ln(r2 / r1), r1 and r2 the Euclidean distances of a row to its "
        "two nearest; nothing discarded, rows with a duplicate (r1 = 0) dropped. Over N, N/2 and "
        "N/4 rows by equal steps in id order: column `scale` (1, 0.5, 0.25) is the share of rows.",
        floor="1 for a curve.",
        ceiling="The number of features; too low from about 10 dimensions on (about 16 for a cube "
        "of 20 dimensions at 5,000 rows).",
        pitfalls="Depends on the density of rows: noise raises it at full scale. If the three "
        "scales disagree, no single number describes the layer. Features stored as float16 tie.",
        reading="Three scales side by side, over depth, with participation_ratio beside it.",
        details=("rows", "scale"),
    ),
)
