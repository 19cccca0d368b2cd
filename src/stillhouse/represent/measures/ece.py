"""Expected calibration error, as it is and after one fitted temperature."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from stillhouse.represent.measures.base import Measure, NotApplicable
from stillhouse.represent.measures.inputs import Floats, Integers, Predictions
from stillhouse.represent.measures.nll import mean_nll

BINS = 15
LOG_TEMPERATURES = (-5.0, 5.0)


def binned(logits: Floats, labels: Integers) -> tuple[Integers, Floats, NDArray[np.bool_]]:
    """Return each row's bin (from 0), its confidence in 0 to 1, and whether it is right.

    15 bins of equal width over the confidence (the largest probability), open to the left; 1.0
    lies in the last.
    """
    probabilities = softmax(logits, axis=1)
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, BINS + 1)
    return (
        np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1),
        confidence,
        right,
    )


def calibration_error(logits: Floats, labels: Integers) -> float:
    """Return sum_b n_b / N |accuracy_b - confidence_b| over the bins of `binned`, in 0 to 1."""
    index, confidence, right = binned(logits, labels)
    gaps = np.bincount(index, weights=right - confidence, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def fitted_temperature(logits: Floats, labels: Integers) -> float:
    """Return the temperature T for which softmax(z / T) has the lowest negative log likelihood.

    It is sought around the spread of the logits, so that it scales with them.
    """
    if (logits == logits[:, :1]).all():
        raise NotApplicable("the logits of each training row are equal")
    spread = float(np.sqrt((logits - logits.mean(axis=1, keepdims=True)).var()))
    if (logits.argmax(axis=1) == labels).all():
        raise NotApplicable(
            "all training rows are right: their likelihood is best at temperature 0"
        )
    low, high = LOG_TEMPERATURES
    found = minimize_scalar(
        lambda log_t: mean_nll(logits / (spread * np.exp(log_t)), labels),
        bounds=LOG_TEMPERATURES,
        method="bounded",
        options={"xatol": 1e-8},
    )
    if not low + 1e-3 < found.x < high - 1e-3:
        raise NotApplicable("no temperature fits the training rows: their logits tell no class")
    return spread * float(np.exp(found.x))


def _tempered(given: Predictions) -> float:
    assert given.train is not None
    temperature = fitted_temperature(*given.train)
    return 100 * calibration_error(given.logits / temperature, given.labels)


MEASURES = (
    Measure(
        name="ece",
        kind="predictions",
        unit="percent",
        range=(0.0, 100.0),
        direction="lower_is_better",
        invariances=("logit_shift",),
        cost="N C",
        citation="Guo et al. 2017; Naeini et al. 2015",
        compute=lambda given: 100 * calibration_error(given.logits, given.labels),
        definition="Sum over 15 bins of equal width of the confidence, open to the left, 1.0 in "
        "the last, of n_b / N |accuracy_b - mean confidence_b|.",
        floor="Above 0 even for a calibrated network, by the noise in each bin.",
        ceiling="0.",
        pitfalls="Depends on the bins; biased upwards with few rows. Label smoothing in one arm "
        "and not in the other changes it without any transfer.",
        reading="With the reliability diagram: too confident below the diagonal.",
    ),
    Measure(
        name="ece_tempered",
        kind="predictions",
        unit="percent",
        range=(0.0, 100.0),
        direction="lower_is_better",
        invariances=("logit_shift", "isotropic_scaling"),
        cost="N C, about 30 evaluations of the likelihood",
        citation="Guo et al. 2017",
        compute=_tempered,
        definition="ece after dividing the logits by one temperature that minimises the negative "
        "log likelihood of the training rows.",
        floor="Above 0 even for a calibrated network, by the noise in each bin.",
        ceiling="0.",
        pitfalls="The training rows are those the network was fitted to: a network that fits them "
        "perfectly asks for a temperature near zero and has no value here.",
        reading="What is left of the miscalibration when the overall confidence is set right.",
        needs=("bank",),
    ),
)
