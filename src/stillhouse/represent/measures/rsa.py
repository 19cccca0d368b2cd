"""Representational similarity analysis: do two layers order the distances of rows alike?"""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable, Value
from stillhouse.represent.measures.inputs import Pair


def _compute(pair: Pair) -> list[Value]:
    a, b = pair.a.geometry.ranks, pair.b.geometry.ranks
    if not (a.any() and b.any()):
        raise NotApplicable("all distances between rows are equal")
    return [Value(float(a @ b), {"rows": len(pair.a.used)})]


def _within_class(pair: Pair) -> list[Value]:
    a, b = pair.a.geometry.class_ranks, pair.b.geometry.class_ranks
    starts, classes = pair.a.geometry.class_starts, pair.a.geometry.classes
    if not classes:
        raise NotApplicable("no class has 3 rows")
    for ranks in (a, b):
        flat = np.add.reduceat(ranks**2, starts) == 0
        if flat.any():
            raise NotApplicable(
                f"all distances inside class {classes[int(flat.argmax())]} are equal"
            )
    rho = np.add.reduceat(a * b, starts)
    return [Value(float(rho.mean()), {"rows": len(pair.a.used)})]


MEASURES = (
    Measure(
        name="rsa",
        kind="pair",
        unit="",
        range=(-1.0, 1.0),
        direction="similarity",
        invariances=ROTATION,
        cost="M^2 D, M <= 1,000 rows",
        citation="Kriegeskorte et al. 2008",
        compute=_compute,
        definition="Spearman's rho, average ranks, of the Euclidean distances of all pairs of the "
        "rows used (at most 1,000, see the rule).",
        floor="0 for independent rows.",
        ceiling="1 where one layer's distances are a rising function of the other's.",
        pitfalls="Pairs of rows are not independent: no p-value over pairs. Most pairs lie "
        "between classes, so two networks that both separate the classes score high: read "
        "rsa_within_class beside it.",
        reading="Whether what is far apart in one layer is far apart in the other.",
        details=("rows",),
    ),
    Measure(
        name="rsa_within_class",
        kind="pair",
        unit="",
        range=(-1.0, 1.0),
        direction="similarity",
        invariances=ROTATION,
        cost="M^2 D, M <= 1,000 rows",
        citation="Kriegeskorte et al. 2008",
        compute=_within_class,
        definition="Unweighted mean, over the classes with at least 3 of the rows used, of "
        "Spearman's rho of the Euclidean distances inside the class.",
        floor="0 for independent rows.",
        ceiling="1; in practice the value between two teachers of other seeds.",
        pitfalls="With many classes each has few rows and the value is noisy (10 rows, 45 "
        "distances at 100 classes).",
        reading="What is shared beyond the classes: the part that labels alone cannot explain.",
        details=("rows",),
        needs=("labels",),
    ),
)
