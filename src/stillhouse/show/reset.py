"""What `stillhouse reset` shows: runs to train anew, and what was moved aside. No torch."""

from __future__ import annotations

from collections.abc import Sequence

from stillhouse.errors import some
from stillhouse.rounds.reset import Heap, dependents
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.tables import Table

SHOWN = 10


def reset_table(cells: Sequence[Cell], survey: Survey, kind: str) -> Table:
    """The runs that a reset moves aside, and which students of theirs it leaves as they are.

    `kind` says which were looked for, where there are none.
    """
    rows = tuple(
        (c.config.path, c.shown, c.learned_nothing or c.state.reason or None) for c in cells
    )
    notes = []
    for teacher, students in dependents(cells, survey).items():
        notes.append(
            f"{teacher} taught {len(students)} runs that stay as they are: {some(students, SHOWN)}"
        )
    title = f"round {survey.round.round}: {len(cells)} runs to train anew"
    columns = ("Run", "State", "Reason")
    return Table(title, columns, rows, tuple(notes), empty=f"no {kind} run has begun")


def heaps_table(found: Sequence[Heap]) -> Table:
    """What earlier resets moved aside: one row per reset."""
    rows = tuple((heap.path.name, len(heap.runs), heap.bytes / 1e6) for heap in found)
    columns = ("Reset at", "Runs", "MB")
    return Table("moved aside", columns, rows, empty="nothing has been moved aside")
