"""Calibration against a slow loop and closed forms; what a run keeps of every test image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import safetensors.numpy
import torch

from lab import Lab
from stillhouse.training.evaluate import calibration_error


def slow(logits: torch.Tensor, labels: torch.Tensor, bins: int = 15) -> float:
    """Guo et al. 2017, Eqs. 1 to 3, bin by bin."""
    probabilities = torch.softmax(logits.double(), dim=1).numpy()
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    right = predicted == labels.numpy()
    total = 0.0
    for number in range(bins):
        inside = (confidence > number / bins) & (confidence <= (number + 1) / bins)
        if inside.any():
            total += inside.sum() * abs(right[inside].mean() - confidence[inside].mean())
    return 100 * total / len(labels)


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_ece_is_the_papers_sum_over_bins(classes: int) -> None:
    generator = torch.Generator().manual_seed(classes)
    logits = 3 * torch.randn(700, classes, generator=generator)
    labels = torch.randint(0, classes, (700,), generator=generator)
    assert calibration_error(logits, labels) == pytest.approx(slow(logits, labels), abs=1e-10)


def test_ece_of_one_confidence_is_its_distance_from_the_accuracy() -> None:
    logits = torch.tensor([[math.log(0.8), math.log(0.2)]]).repeat(10, 1)
    labels = torch.tensor([0] * 5 + [1] * 5)
    assert calibration_error(logits, labels) == pytest.approx(30, abs=1e-4)


def test_labels_drawn_from_the_predicted_probabilities_are_calibrated() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(200_000, 5, generator=generator)
    labels = torch.multinomial(torch.softmax(logits, dim=1), 1, generator=generator).flatten()
    assert calibration_error(logits, labels) < 0.6
    assert calibration_error(2 * logits, labels) > 5


def test_the_predictions_kept_are_those_of_the_final_epoch(lab: Lab) -> None:
    config = lab.run("logit")
    assert lab.train(config, steps=5) == "enough"
    assert lab.train(config) is None
    result = lab.folder(config).completed()
    kept = safetensors.numpy.load_file(lab.folder(config).predictions)
    assert result is not None
    assert {name: (len(rows), rows.dtype) for name, rows in kept.items()} == {
        "predictions": (355, np.int16),
        "labels": (355, np.int16),
    }
    right = 100 * float(np.mean(kept["predictions"] == kept["labels"]))
    assert right == pytest.approx(result["final"]["test"]["accuracy"], abs=1e-9)
    assert 0 < result["final"]["test"]["ece"] < 100
