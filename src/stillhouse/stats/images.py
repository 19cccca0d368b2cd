"""What two networks say of the same test images, from the predictions that runs keep."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

from stillhouse.errors import RunError
from stillhouse.runs.files import read_bytes
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.index import ReadOnce
from stillhouse.runs.records import train_anew

KEPT_IN_MEMORY = 256
Rows = npt.NDArray[np.int16]


_KEPT = ReadOnce[tuple[str, tuple[Rows, Rows] | None]](KEPT_IN_MEMORY)


def predictions(folder: RunFolder) -> tuple[Rows, Rows] | None:
    """The predictions and labels of a run's test images (n,); None if it recorded none.

    Raises RunError if the file is missing or not the one that was recorded.
    """
    path, result = folder.predictions, folder.completed()
    if result is None or "predictions" not in result:
        return None
    digest, rows = _KEPT.get(path, lambda: _read(path)) or ("", None)
    if digest != result["predictions"]:
        raise RunError(
            f"{path} is not the file that {folder.result.name} records", train_anew(path)
        )
    if rows is None:
        raise RunError(f"{path}: it does not hold predictions and labels", train_anew(path))
    return rows


def _read(path: Path) -> tuple[str, tuple[Rows, Rows] | None]:
    """The hash of a file, and its rows if it holds any. Raises RunError if it cannot be read."""
    content = read_bytes(path, cure=train_anew(path))
    digest = sha256(content).hexdigest()
    try:
        kept = load(content)
        return digest, (kept["predictions"], kept["labels"])
    except (SafetensorError, KeyError):
        return digest, None


def discordant(a: RunFolder, b: RunFolder) -> tuple[int, int] | None:
    """How many images only `a` and only `b` get right; None if one kept no predictions.

    Raises RunError if their rows are not of the same images.
    """
    pair = _pair(a, b)
    if pair is None:
        return None
    first, second, labels = pair
    right_a, right_b = first == labels, second == labels
    return int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())


def agreement(a: RunFolder, b: RunFolder) -> float | None:
    """The percentage of images of which both say the same; None if one kept no predictions."""
    pair = _pair(a, b)
    return None if pair is None else 100.0 * float(np.mean(pair[0] == pair[1]))


def chance_agreement(a: float, b: float, classes: int) -> float:
    """The agreement in percent of networks with accuracies `a` and `b` and independent errors.

    a b + (1 - a)(1 - b) / (classes - 1), wrong answers being spread evenly over the classes.
    """
    first, second = a / 100, b / 100
    return 100 * (first * second + (1 - first) * (1 - second) / (classes - 1))


def _pair(a: RunFolder, b: RunFolder) -> tuple[Rows, Rows, Rows] | None:
    first, second = predictions(a), predictions(b)
    if first is None or second is None:
        return None
    if not np.array_equal(first[1], second[1]):
        raise RunError(f"{a.path} and {b.path} were tested on other images or in another order")
    return first[0], second[0], first[1]
