"""Nearest-neighbour probe: the classes read from a layer by a vote of training rows."""

from __future__ import annotations

import numpy as np

from stillhouse.represent.measures.base import Measure, NotApplicable
from stillhouse.represent.measures.inputs import Floats, Integers, Representation
from stillhouse.represent.measures.neighbours import most_similar

NEIGHBOURS = 20


def predicted(bank: Floats, labels: Integers, x: Floats) -> Integers:
    """Return the class of each row of x by the weighted vote of its 20 nearest bank rows."""
    classes, index = np.unique(labels, return_inverse=True)
    found, weights = most_similar(x, bank, NEIGHBOURS)
    votes = np.zeros((len(x), len(classes)))
    for rank in range(NEIGHBOURS):
        votes[np.arange(len(x)), index[found[:, rank]]] += weights[:, rank]
    # Sums of equal cosines in another order differ by rounding; a tie goes to the lower class.
    ties = votes >= votes.max(axis=1, keepdims=True) - 1e-12
    chosen: Integers = classes[ties.argmax(axis=1)]
    return chosen


def _compute(representation: Representation) -> float:
    assert representation.bank is not None and representation.labels is not None
    bank, labels = representation.bank[0].astype(np.float64), representation.bank[1]
    if len(bank) < NEIGHBOURS:
        raise NotApplicable(f"{len(bank)} training rows; at least {NEIGHBOURS} are needed")
    found = predicted(bank, labels, representation.x)
    return 100 * float((found == representation.labels).mean())


MEASURES = (
    Measure(
        name="knn_probe",
        kind="representation",
        unit="percent",
        range=(0.0, 100.0),
        direction="higher_is_better",
        invariances=("channel_permutation", "orthogonal", "isotropic_scaling"),
        cost="N^2 D",
        citation="Wu et al. 2018",
        compute=_compute,
        definition="Accuracy on the test rows of a vote of the 20 training rows of largest cosine "
        "similarity (features not centred), each with its similarity as weight; ties to the lower "
        "class.",
        floor="The share of the largest class.",
        ceiling="The teacher's probe at the same depth.",
        pitfalls="Not invariant to a shift of the features. Depends on the number of training "
        "rows: compare only over the same bank.",
        reading="Beside linear_probe: locally readable against linearly readable.",
        needs=("labels", "bank"),
    ),
)
