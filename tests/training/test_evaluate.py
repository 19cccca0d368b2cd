"""Calibration against a slow loop and closed forms; what a run keeps of every test image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import safetensors.numpy
import torch

from small_runs import Lab
from stillhouse import models
from stillhouse.data.base import Batch
from stillhouse.data.specs import SPECS
from stillhouse.training.evaluate import Evaluation, calibration_error, evaluate, summarise


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


def test_a_summary_is_of_rows_counted_and_averaged_one_by_one() -> None:
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 1.0, 3.0], [0.5, 0.0, 0.0], [1.0, 4.0, 0.0]])
    taught = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0], [3.0, 0.0, 1.0], [5.0, 1.0, 0.0]])
    labels = torch.tensor([0, 2, 1, 1])
    found = summarise(Evaluation(logits, labels), Evaluation(taught, labels))
    p, q = (torch.softmax(one.double(), dim=1) for one in (logits, taught))
    rows = range(len(labels))
    assert found["accuracy"] == 75.0
    assert found["agreement"] == 50.0
    assert found["classes_predicted"] == 3
    assert found["ce"] == pytest.approx(-sum(math.log(p[i, labels[i]]) for i in rows) / 4)
    pairs = [(q[i, c], p[i, c]) for i in rows for c in range(3)]
    kl = sum(float(a) * math.log(a / b) for a, b in pairs) / 4
    assert found["kl"] == pytest.approx(kl)


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_measured_in_eval_mode_and_left_in_its_own(training: bool) -> None:
    torch.manual_seed(0)
    network = models.build("ResNetBaby", SPECS["Digits"]).train(training)
    images, labels = torch.randn(6, 1, 8, 8), torch.arange(6)
    batches = [Batch(images[rows], labels[rows], labels[rows]) for rows in (slice(4), slice(4, 6))]
    statistics = {name: value.clone() for name, value in network.named_buffers()}
    found = evaluate(network, batches)
    assert network.training is training
    assert all(torch.equal(value, statistics[name]) for name, value in network.named_buffers())
    torch.testing.assert_close(found.logits, network.eval()(images).logits.detach())


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
