"""Procrustes distance: what is left between two layers after the best rotation."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure
from stillhouse.represent.measures.inputs import Pair


def _compute(pair: Pair) -> float:
    nuclear = np.linalg.svd(pair.covariances, compute_uv=False).sum()
    norms = np.linalg.norm(pair.a.components[1]) * np.linalg.norm(pair.b.components[1])
    return float(1 - nuclear / norms)


MEASURES = (
    Measure(
        name="procrustes",
        kind="pair",
        unit="",
        range=(0.0, 1.0),
        direction="distance",
        invariances=ROTATION,
        cost="N D^2",
        citation="Williams et al. 2021; Ding et al. 2021",
        compute=_compute,
        definition="1 - ||X'Y||_nuc / (||X||_F ||Y||_F), features centred, the narrower layer "
        "padded with zeros; no arccos and no root (the triangle inequality holds for "
        "arccos(1 - value)).",
        floor="Below 1 for independent rows: 1 minus about the square root of D / N; take the "
        "permuted rows of the same table.",
        ceiling="0 for X = c Y Q + b (it is a distance); in practice the value between two "
        "teachers of other seeds.",
        pitfalls="It is a distance: lower is more alike. Layers of other widths cannot reach 0. "
        "Less dominated by the first components than linear_cka, so the two may disagree.",
        reading="Lower is more alike; a negative excess means that distillation moved the student "
        "towards the teacher.",
    ),
)
