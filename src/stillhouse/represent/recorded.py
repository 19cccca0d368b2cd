"""Whether extracted logits are those that a run recorded: the test of the whole way."""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from stillhouse.errors import RunError, one_line
from stillhouse.represent.classes import margins
from stillhouse.represent.store import Float32, Int64
from stillhouse.represent.targets import Target
from stillhouse.runs.files import read_recorded
from stillhouse.runs.records import Result, train_anew

# A row may be predicted otherwise elsewhere if its two highest logits are closer than this share
# of the range of its logits: float32 convolutions differ by about 1e-5 between machines, with
# TF32 by about 1e-3.
ROUNDING = 1e-3
TF32_ROUNDING = 1e-2
IMPORTED_POINTS = 0.2


def differing(target: Target, logits: Float32, labels: Int64, tf32: bool) -> tuple[int, float]:
    """How many test rows are predicted otherwise than recorded, and their largest margin.

    `logits` (rows, classes), `labels` (rows,). Raises RunError if one differs by more than
    rounding: these are not the logits of the recorded network. An untrained network has no record.
    """
    if target.result is None:
        return 0, 0.0
    bound = TF32_ROUNDING if tf32 else ROUNDING
    predicted = logits.argmax(axis=1)
    right = int((predicted == labels).sum())
    if target.weights == "file":
        return _imported(target, target.result, 100 * right / len(labels)), 0.0
    before = _predictions(target, target.result) if target.weights == "final" else None
    if before is not None:
        rows = np.flatnonzero(predicted != before)
        margin = float(margins(logits[rows]).max()) if len(rows) else 0.0
        if margin <= bound:
            return len(rows), margin
        row = int(rows[margins(logits[rows]).argmax()])
        what = f"test image {row} as class {predicted[row]}, and class {before[row]} was recorded"
    else:
        recorded = target.result["final"]["test"]["accuracy"]
        if target.weights == "best":
            recorded = target.result["best"]["test_accuracy"]
        moved = abs(right - round(recorded * len(labels) / 100))
        close = np.sort(margins(logits))[:moved]
        margin = float(close.max()) if moved else 0.0
        if moved <= len(labels) and margin <= bound:
            return moved, margin
        what = f"{100 * right / len(labels):.2f} % of the test images right, not {recorded:.2f} %"
    raise RunError(
        f"{target.name}: its weights predict {what}; the difference is more than rounding",
        "are the test images, the custom components and the packages those it was trained with? "
        "`stillhouse verify RUN` names what changed",
    )


def _imported(target: Target, result: Result, accuracy: float) -> int:
    """Raise RunError unless the accuracy is the final or the best one that was recorded."""
    final, best = result["final"]["test"]["accuracy"], result["best"]["test_accuracy"]
    if min(abs(accuracy - one) for one in (final, best)) > IMPORTED_POINTS:
        raise RunError(
            f"{target.file}: {accuracy:.2f} % of the test images right, but {target.name} recorded "
            f"{final:.2f} % at its last epoch and {best:.2f} % at its best",
            "is the pattern of --weights right, and was the run trained on images normalised in "
            "the same way?",
        )
    return 0


def _predictions(target: Target, result: Result) -> Int64 | None:
    """The classes that the run recorded; None if it recorded none. Raises RunError if damaged."""
    if "predictions" not in result:
        return None
    path = target.folder.predictions
    content = read_recorded(path, result["predictions"], cure=train_anew(path))
    try:
        return load(content)["predictions"].astype(np.int64)
    except (SafetensorError, KeyError) as error:
        raise RunError(f"{path}: not readable ({one_line(error)})", train_anew(path)) from error
