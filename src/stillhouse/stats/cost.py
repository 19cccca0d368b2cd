"""What each method costs beside the student: parameters, time, and what is trained before it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stillhouse.errors import RunError
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.files import read_json
from stillhouse.stats.arms import Arm, arms
from stillhouse.tables import Table

Cost = tuple[int | None, float | None, int | None, float | None, float | None]
COLUMNS = (
    "Method",
    "Extra parameters (trained)",
    "of student",
    "Extra parameters (frozen)",
    "Time / pure",
    "Pretraining",
)
SHORT = (
    "Extra parameters are not part of the trained student. Pretraining: of a part of the method, "
    "once per teacher, in epochs of the pure student."
)
NUMBERS = (
    "trained_parameters",
    "percent_of_student",
    "frozen_parameters",
    "time_over_pure",
    "epochs_before",
)
NOTES = (
    "Extra parameters: of the method's own modules, which are not in the trained student.",
    "Time: of an epoch of this run alone, evaluation included, over that of the pure student; "
    "the teacher's pass, which the students of a cohort share, is not in it.",
    "Pretraining: training a part on the teacher, once per teacher, in epochs of the pure student.",
)


def cost_table(seen: Survey, dataset: str, pretrained: Path, numbers: bool = False) -> Table:
    """A row per distillation arm with completed runs; `pretrained` holds the shared parts.

    `numbers`: for programs, one number per cell. A run whose epochs' records are damaged is named
    and left out of the times.
    """
    found = arms(seen, dataset)
    times, damaged = _times(cell for arm in found for cell in _done(arm))
    pure = {arm.model: _mean(times, arm) for arm in found if arm.method == "pure"}
    parts = [read_json(file) for file in sorted(pretrained.glob("*.json"))]
    costs = [
        (arm, _cost(arm, _mean(times, arm), pure.get(arm.model), _before(arm, parts)))
        for arm in found
        if arm.method != "pure" and _done(arm)
    ]
    title = f"round {seen.round.round}, {dataset}: extra cost of each method"
    if numbers:
        names = ("method", "model", "role", *(f"axis_{name}" for name in seen.round.sweep))
        rows = [(*arm.names(seen.round.sweep).values(), *cost) for arm, cost in costs]
        return Table(title, (*names, *NUMBERS), tuple(rows), (*NOTES, *damaged))
    shown = tuple((arm.label, *_text(cost)) for arm, cost in costs)
    notes = (SHORT, *damaged) if shown else ()
    empty = "no run of a distillation method is done"
    return Table(title, COLUMNS, shown, notes, keys=1, details=NOTES, empty=empty)


def _cost(arm: Arm, seconds: float | None, pure: float | None, before: float | None) -> Cost:
    result: Any = _done(arm)[0].state.result
    cost = result.get("cost", {})
    trained, student = cost.get("method_parameters"), cost.get("parameters")
    return (
        trained,
        100 * trained / student if trained is not None and student else None,
        cost.get("method_frozen_parameters"),
        seconds / pure if seconds and pure else None,
        before / pure if before and pure else None,
    )


def _text(cost: Cost) -> tuple[str | int | None, ...]:
    """A cost as people read it: percent with their sign, few digits."""
    trained, share, frozen, time, before = cost
    return (
        trained,
        None if share is None else f"{share:.1f}%",
        frozen,
        None if time is None else f"{time:.2f}",
        None if before is None else f"{before:.1f}",
    )


def _times(cells: Iterable[Cell]) -> tuple[dict[str, list[float]], list[str]]:
    """The seconds of every epoch by run, and a note for each run whose records are damaged."""
    times, damaged = {}, []
    for cell in cells:
        try:
            records = cell.folder.records()
        except RunError as error:
            damaged.append(f"Left out of the times: {error.message}.")
        else:
            timed = [record for record in records if "time" in record]  # imported ones are not
            times[cell.config.path] = [record["time"]["seconds"] for record in timed]
    return times, damaged


def _mean(times: dict[str, list[float]], arm: Arm) -> float | None:
    spent = [seconds for cell in arm.cells for seconds in times.get(cell.config.path, [])]
    return sum(spent) / len(spent) if spent else None


def _before(arm: Arm, parts: list[dict[str, Any]]) -> float | None:
    """The mean seconds of training what this arm's students had trained before, per teacher."""
    teachers = {_teacher(cell) for cell in _done(arm)}
    spent = [
        part["seconds"]
        for part in parts
        if part["method"] == arm.method and part["key"]["teacher"] in teachers
    ]
    return sum(spent) / len(spent) if spent else None


def _done(arm: Arm) -> list[Cell]:
    return [cell for cell in arm.cells if cell.state.name == "done"]


def _teacher(cell: Cell) -> str | None:
    result: Any = cell.state.result
    return (result.get("teacher") or {}).get("sha256")
