from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, top_k_accuracy_score

from stillhouse.represent.classes import (
    class_accuracies,
    confusion,
    margins,
    top_k_accuracy,
    worst_class,
)

DRAWS = np.random.default_rng(0)
LOGITS = DRAWS.normal(size=(300, 25))
LABELS = DRAWS.integers(0, 25, 300)


@pytest.mark.parametrize("k", [1, 5])
def test_top_k_is_scikit_learns(k: int) -> None:
    expected = top_k_accuracy_score(LABELS, LOGITS, k=k, labels=range(25))
    assert top_k_accuracy(LOGITS, LABELS, k) == pytest.approx(100 * expected)


def test_of_equal_logits_the_lower_class_comes_first() -> None:
    logits, labels = np.zeros((3, 4)), np.array([0, 1, 3])
    assert [top_k_accuracy(logits, labels, k) for k in (1, 2, 4)] == pytest.approx(
        [100 / 3, 200 / 3, 100]
    )


def test_confusion_and_class_accuracies_are_scikit_learns() -> None:
    predicted = LOGITS.argmax(axis=1)
    counts = confusion(predicted, LABELS, 25)
    np.testing.assert_array_equal(counts, confusion_matrix(LABELS, predicted, labels=range(25)))
    expected = [100 * np.mean(predicted[label == LABELS] == label) for label in range(25)]
    assert class_accuracies(counts) == pytest.approx(expected)


def test_a_class_without_images_is_not_the_worst() -> None:
    counts = confusion(np.array([0, 0, 2]), np.array([0, 2, 2]), 4)
    accuracies = class_accuracies(counts)
    assert accuracies == [100.0, None, 50.0, None]
    assert worst_class(accuracies) == (2, 50.0)


def test_the_margin_is_a_share_of_the_range() -> None:
    logits = np.array([[0.0, 5.0, 10.0], [3.0, 3.0, 1.0], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(margins(logits), [0.5, 0.0, 0.0])
