"""Neural collapse of the spread inside the classes (NC1)."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import ROTATION, Measure, NotApplicable
from stillhouse.represent.measures.fisher_ratio import class_means
from stillhouse.represent.measures.inputs import RANK_TOLERANCE, Representation


def _compute(representation: Representation) -> float:
    assert representation.labels is not None
    x = representation.centred
    means, counts, index = class_means(x, representation.labels)
    classes = len(counts)
    inside = x - means[index]
    _, s, v = np.linalg.svd(means - means.mean(axis=0), full_matrices=False)
    if s[0] <= RANK_TOLERANCE * float(np.abs(x).max()):
        raise NotApplicable("the means of the classes are equal")
    rank = min(classes - 1, int((s > RANK_TOLERANCE * s[0]).sum()))
    spread = (inside @ v[:rank].T) ** 2  # along the directions in which the means differ
    return float((spread.mean(axis=0) * classes / s[:rank] ** 2).sum()) / classes


MEASURES = (
    Measure(
        name="nc1",
        kind="representation",
        unit="",
        range=(0.0, None),
        direction="neither",
        invariances=ROTATION,
        cost="N D^2",
        citation="Papyan, Han and Donoho 2020",
        compute=_compute,
        definition="tr(S_w S_b^+) / C, S_w over N rows, S_b over C class means with equal weight, "
        "pseudo-inverse of rank C - 1 at most.",
        floor="0: every row lies on its class mean.",
        ceiling="Unbounded without signal.",
        pitfalls="Follows accuracy closely. Invariant to any invertible map only where the "
        "features are at most C - 1; invariant to rotation always.",
        reading="Lower is more collapsed; beside the probes.",
        needs=("labels",),
    ),
)
