"""Fisher's ratio of traces: distance between classes against spread inside them."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable
from stillhouse.represent.measures.inputs import Floats, Integers, Representation


def class_means(x: Floats, labels: Integers) -> tuple[Floats, Integers, Integers]:
    """Return the mean of each class (classes x features), the counts, and each row's class."""
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), x.shape[1]))
    np.add.at(sums, index, x)
    return sums / counts[:, None], counts, index


def _compute(representation: Representation) -> float:
    assert representation.labels is not None
    x = representation.centred
    means, counts, index = class_means(x, representation.labels)
    rows, classes = len(x), len(counts)
    if rows <= classes:
        raise NotApplicable(f"{rows} rows for {classes} classes: no spread inside the classes")
    between = float((counts[:, None] * means**2).sum())
    within = float(((x - means[index]) ** 2).sum())
    if within <= 1e-24 * between:
        raise NotApplicable("the rows of each class are equal: no spread inside the classes")
    return (between / (classes - 1)) / (within / (rows - classes))


MEASURES = (
    Measure(
        name="fisher_ratio",
        kind="representation",
        unit="",
        range=(0.0, None),
        direction="neither",
        invariances=ROTATION,
        cost="N D",
        citation="Fisher 1936; Pillai's F scaling of the traces",
        compute=_compute,
        definition="(tr S_b / (C - 1)) / (tr S_w / (N - C)), S_b and S_w the scatter between and "
        "inside the C classes.",
        floor="1 without any signal, whatever the number of classes.",
        ceiling="Unbounded; the teacher's value at the same depth.",
        pitfalls="Grows with the number of rows per class: compare only over the same test set. "
        "Deep layers dwarf early ones on a shared axis.",
        reading="One axis per layer, the teacher as a line.",
        needs=("labels",),
    ),
)
