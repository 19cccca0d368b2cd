"""Linear probe: the classes read from a layer by ridge regression."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from stillhouse.represent.measures.base import Measure
from stillhouse.represent.measures.inputs import Floats, Integers, Representation

RIDGE = 1.0


def predicted(bank: Floats, labels: Integers, x: Floats) -> Integers:
    """Return the class of each row of x by ridge on one-hot targets, fitted on the bank."""
    mean, spread = bank.mean(axis=0), bank.std(axis=0)
    # A channel that varies by rounding only is left as it is, like StandardScaler does.
    spread[spread <= 10 * np.finfo(np.float64).eps * np.abs(bank).max()] = 1.0
    scaled = (bank - mean) / spread
    classes, index = np.unique(labels, return_inverse=True)
    targets = np.eye(len(classes))[index]
    share = targets.mean(axis=0)
    system = scaled.T @ scaled + RIDGE * np.eye(bank.shape[1])
    weights = linalg.solve(system, scaled.T @ (targets - share), assume_a="pos")
    scores = (x - mean) / spread @ weights + share
    found: Integers = classes[scores.argmax(axis=1)]
    return found


def _compute(representation: Representation) -> float:
    assert representation.bank is not None and representation.labels is not None
    bank, labels = representation.bank
    found = predicted(bank.astype(np.float64), labels, representation.x)
    return 100 * float((found == representation.labels).mean())


MEASURES = (
    Measure(
        name="linear_probe",
        kind="representation",
        unit="percent",
        range=(0.0, 100.0),
        direction="higher_is_better",
        invariances=("channel_permutation", "isotropic_scaling", "channel_scaling", "translation"),
        cost="N D^2",
        citation="Alain and Bengio 2017",
        compute=_compute,
        definition="Accuracy on the test rows of ridge regression (lambda = 1) on one-hot targets "
        "with intercept, features standardised by the training rows, fitted on all training rows "
        "of the file.",
        floor="The share of the largest class.",
        ceiling="The teacher's probe at the same depth; at the last layer about its accuracy.",
        pitfalls="Training rows are fitted well by the trained network itself; ridge is not "
        "logistic regression (up to 4 points apart).",
        reading="Beside knn_probe: linearly readable against locally readable.",
        needs=("labels", "bank"),
    ),
)
