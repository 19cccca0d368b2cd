"""What a classifier gets right, by class and by rank, from its logits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Floats = npt.NDArray[np.floating]
TOP5_FROM_CLASSES = 20


def top_k_accuracy(logits: Floats, labels: Int64, k: int) -> float:
    """Percentage of rows whose class is among the k highest logits; ties to the lower class.

    `logits` (rows, classes), `labels` (rows,).
    """
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    before = np.arange(logits.shape[1]) < labels[:, None]
    rank = (logits > own).sum(axis=1) + ((logits == own) & before).sum(axis=1)
    return 100.0 * int((rank < k).sum()) / len(labels)


def confusion(predicted: Int64, labels: Int64, classes: int) -> Int64:
    """Counts (classes, classes): row = class of the image, column = predicted class."""
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def class_accuracies(counts: Int64) -> list[float | None]:
    """Percentage right of each class of a confusion matrix; None for a class without images."""
    images = counts.sum(axis=1)
    return [
        100.0 * int(right) / int(total) if total else None
        for right, total in zip(np.diag(counts), images, strict=True)
    ]


def worst_class(accuracies: list[float | None]) -> tuple[int, float]:
    """The class with the lowest accuracy and that accuracy; of equal ones the first."""
    known = [(value, label) for label, value in enumerate(accuracies) if value is not None]
    value, label = min(known)
    return label, value


def margins(logits: Floats) -> Floats:
    """The difference of the two highest logits over the range of all, for each row (0 to 1)."""
    ordered = np.sort(logits.astype(np.float64), axis=1)
    spread = ordered[:, -1] - ordered[:, 0]
    return np.divide(
        ordered[:, -1] - ordered[:, -2], spread, out=np.zeros(len(ordered)), where=spread > 0
    )
