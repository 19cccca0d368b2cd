"""Rules about what was transferred, from the table `transfer` of `analyze`; silent without it.

Intervals are those of the table: 95 %, per method, not adjusted for the number of methods.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations.base import Scene
from stillhouse.stats.frame import Row
from stillhouse.stats.wording import interval, with_interval

ALIKE = "linear_cka"
COPIED = "agreement_on_errors"
SPECIFIC = 0.5  # share of the excess from which on it may be of the own teacher
Gap = Mapping[str, Any]


def aligned_not_better(scene: Scene) -> Iterator[Finding]:
    """ALIGNED-NOT-BETTER: closer to the teacher than pure, and not shown to be more accurate."""

    def evidence(row: Row) -> str | None:
        gap, accuracy = last_layer(scene, row, ALIKE, "excess"), row.to_pure
        if gap is None or not above_zero(gap) or accuracy is None or accuracy.low is None:
            return None
        if accuracy.low > 0:
            return None
        return f"{shown(gap)}, accuracy {interval(accuracy)} points (n = {gap['n']})"

    text = (
        "Closer to the teacher than pure at the last layer (linear CKA, excess), and "
        "not shown to be more accurate"
    )
    yield from _finding(scene, "aligned-not-better", text, evidence)


def generic(scene: Scene) -> Iterator[Finding]:
    """ALIGNMENT-GENERIC: as close to the teachers of other seeds as to the own one."""

    def evidence(row: Row) -> str | None:
        gap = last_layer(scene, row, ALIKE, "excess")
        own = last_layer(scene, row, ALIKE, "specificity")
        if gap is None or own is None or not above_zero(gap) or not known(own):
            return None
        if own["low"] > 0 or own["value"] >= SPECIFIC * gap["value"]:
            return None
        return f"{shown(gap)}, specificity {shown(own)} (n = {own['n']})"

    text = (
        "Closer to the teacher than pure at the last layer (linear CKA, excess), and as "
        "close to other seeds' teachers: not shown to come from this teacher"
    )
    yield from _finding(scene, "alignment-generic", text, evidence)


def copied_errors(scene: Scene) -> Iterator[Finding]:
    """COPIED-ERRORS: the teacher's wrong answers, more often than a pure student gives them."""

    def evidence(row: Row) -> str | None:
        gap = last_layer(scene, row, COPIED, "excess")
        if gap is None or not above_zero(gap):
            return None
        own = last_layer(scene, row, COPIED, "specificity")
        of_own = ", of its own teacher" if own is not None and above_zero(own) else ""
        return f"{shown(gap, 1)}{of_own} (n = {gap['n']})"

    text = (
        "Repeats its teacher's wrong answers more often than pure does, in points of the "
        "images that the teacher gets wrong"
    )
    yield from _finding(scene, "copied-errors", text, evidence)


def _finding(
    scene: Scene, code: str, text: str, evidence: Callable[[Row], str | None]
) -> Iterator[Finding]:
    """One finding on all methods for which there is evidence, if there are any."""
    found = [(row.arm, part) for row in scene.methods if (part := evidence(row))]
    if found:
        cells = [cell for arm, _ in found for cell in arm.valid]
        parts = [f"{arm.label} {part}" for arm, part in found]
        yield scene.finding(code, text, cells, parts)


def last_layer(scene: Scene, row: Row, measure: str, quantity: str) -> Gap | None:
    """The table's row of an arm at its last layer; None where there is none with a value."""
    wanted = (row.arm.label, measure, quantity)
    found = [
        one
        for one in scene.transfer
        if (one["arm"], one["measure"], one["quantity"]) == wanted and one["value"] is not None
    ]
    return max(found, key=_depth, default=None)


def _depth(row: Gap) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", row["layer"])]


def known(row: Gap) -> bool:
    """Whether there is an interval; one without width comes from too few images."""
    return row["low"] is not None and row["low"] < row["high"]


def above_zero(row: Gap) -> bool:
    """Whether the interval lies above 0."""
    return known(row) and row["low"] > 0


def shown(row: Gap, places: int = 3) -> str:
    """`+0.102 [+0.053, +0.151]`."""
    return with_interval(row["value"], row["low"], row["high"], places)
