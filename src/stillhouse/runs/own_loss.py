"""A method's own loss, of its student and of a pure one, as recorded by `verify --losses`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any, Literal

from stillhouse.runs.files import write_atomic
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import OWN_LOSS, dump_sealed

Verdict = Literal["lower", "higher", "no difference"]
VERDICTS: dict[int, Verdict] = {-1: "lower", 0: "no difference", 1: "higher"}


@dataclass(frozen=True)
class OwnLoss:
    """The weighted loss without cross entropy on the test images: `own` student, `pure` student.

    One value each, or one per fit of `fit_epochs` epochs if the method trains modules of its own (a
    regressor, a translator); each fit starts from other weights.
    """

    own: tuple[float, ...]
    pure: tuple[float, ...]
    fit_epochs: int = 0

    @property
    def verdict(self) -> Verdict:
        """Return whether the own student's loss is lower, or higher, in every fit.

        Fits with the same number start from the same modules. A single value is compared with all.
        For two equal students, five fits agree on `lower` by chance once in 32 times.
        """
        pairs = zip(cycle(self.own), self.pure, strict=False)
        signs = {(own > pure) - (own < pure) for own, pure in pairs}
        return VERDICTS[signs.pop() if len(signs) == 1 else 0]


def measured_with(own: RunFolder, pure: RunFolder) -> dict[str, Any] | None:
    """Return the hashes that a comparison of two completed runs depends on.

    None if one is not completed. Raises RunError if their files are damaged.
    """
    run, result, other = own.started(), own.completed(), pure.completed()
    if run is None or result is None or other is None:
        return None
    return {
        "weights": result["weights"].get("final"),
        "method": result["weights"].get("method"),
        "teacher": (run["teacher"] or {}).get("sha256"),
        "pure": other["weights"].get("final"),
    }


def read(own: RunFolder, pure: RunFolder) -> OwnLoss | None:
    """Return the recorded comparison if it is of these weights. Raises RunError if damaged."""
    if not own.own_loss.exists():
        return None
    found = OWN_LOSS.read(own.own_loss)
    if found["measured_with"] != measured_with(own, pure):
        return None
    return OwnLoss(tuple(found["own"]), tuple(found["pure"]), found["fit_epochs"])


def write(own: RunFolder, pure: RunFolder, losses: OwnLoss) -> None:
    """Write a comparison into the own student's folder."""
    value = {
        "measured_with": measured_with(own, pure),
        "own": losses.own,
        "pure": losses.pure,
        "fit_epochs": losses.fit_epochs,
    }
    write_atomic(own.own_loss, dump_sealed(value))
