"""What each method costs beside the student: parameters, time, and what is trained before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stillhouse import data
from stillhouse.rounds.survey import Survey
from stillhouse.runs.files import read_json
from stillhouse.stats.arms import Arm, arms
from stillhouse.stats.runs import epochs_frame
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
NETWORK_COLUMNS = (
    "Model / Method",
    "Parameters",
    "Multiply-adds",
    "ms per image",
    "Top-5 %",
    "Worst class %",
)
NETWORK_NOTES = (
    "Multiply-adds: of convolutions and matrix products, for one image. ms per image: median over "
    "batches, mean over seeds. Top-5: from 20 classes up. Worst class: the lowest accuracy of a "
    "class, mean over seeds, with the class where it is the same in all.",
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


def cost_table(survey: Survey, dataset: str, pretrained: Path, numbers: bool = False) -> Table:
    """A row per distillation arm with completed runs; `pretrained` holds the shared parts.

    `numbers`: for programs, one number per cell. A run whose epochs' records are damaged is named
    and left out of the times.
    """
    found = arms(survey, dataset)
    times, damaged = _seconds(found)
    pure = {arm.model: times.get(arm.label) for arm in found if arm.method == "pure"}
    parts = [read_json(file) for file in sorted(pretrained.glob("*.json"))]
    costs = [
        (arm, _cost(done, times.get(arm.label), pure.get(arm.model), _before(done, parts)))
        for arm in found
        if arm.method != "pure" and (done := _done(arm))
    ]
    title = f"{_title(survey, dataset)}: extra cost of each method"
    if numbers:
        names = found[0].names(survey.round.sweep)
        rows = [(*arm.names(survey.round.sweep).values(), *cost) for arm, cost in costs]
        return Table(title, (*names, *NUMBERS), tuple(rows), (*NOTES, *damaged))
    shown = tuple((arm.label, *_text(cost)) for arm, cost in costs)
    notes = (SHORT, *damaged) if shown else ()
    empty = "no run of a distillation method is done"
    return Table(title, COLUMNS, shown, notes, keys=1, details=NOTES, empty=empty)


def _title(survey: Survey, dataset: str) -> str:
    return f"round {survey.round.round}, {data.spec(dataset, survey.round.files).label}"


def network_table(survey: Survey, dataset: str) -> Table:
    """A row per arm: its network's size and time, and what its valid runs get right by class.

    Values that differ between seeds are means; multiply-adds, times and classes need `extract`.
    """
    rows: list[tuple[str | int | None, ...]] = []
    timed: dict[str, None] = {}
    for arm in arms(survey, dataset):
        runs = [run for run in arm.runs if run["valid"] == "yes"]
        if not runs:
            continue
        timed |= {run["timed_on"]: None for run in runs if run["timed_on"]}
        adds, size = runs[0]["multiply_adds"], runs[0]["parameters"]
        time, top5, worst = (
            _mean(runs, name) for name in ("milliseconds_per_image", "top5", "worst_class_accuracy")
        )
        classes = {int(run["worst_class"]) for run in runs if run["worst_class"] is not None}
        which = f" (class {classes.pop()})" if len(classes) == 1 else ""
        rows.append(
            (
                arm.label,
                size,
                None if adds is None else f"{adds / 1e6:.2f} M",
                None if time is None else f"{time:.3g}",
                None if top5 is None else f"{top5:.2f}",
                None if worst is None else f"{worst:.1f}{which}",
            )
        )
    notes = [f"ms per image: {what}." for what in timed]
    if len(timed) > 1:
        notes = [f"ms per image was measured in {len(timed)} ways: {'; '.join(timed)}."]
    if rows and not timed:
        notes = ["Multiply-adds, times and classes are known after `stillhouse extract`."]
    title = f"{_title(survey, dataset)}: networks"
    empty = "no run is done"
    return Table(
        title,
        NETWORK_COLUMNS,
        tuple(rows),
        tuple(notes),
        keys=1,
        details=NETWORK_NOTES,
        empty=empty,
    )


def _mean(runs: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [run[name] for run in runs if run[name] is not None]
    return sum(values) / len(values) if values else None


def _seconds(found: Sequence[Arm]) -> tuple[dict[str, float], list[str]]:
    """The mean seconds of an epoch by arm, and a note for each run whose records are damaged."""
    done = {
        cell.config.path: (arm.label, cell)
        for arm in found
        for cell in arm.cells
        if cell.state.name == "done"
    }
    epochs, damaged = epochs_frame(cell for _, cell in done.values())
    label = epochs["run"].map({run: label for run, (label, _) in done.items()})
    shared = epochs[["loading_seconds", "teacher_seconds"]].fillna(0.0).sum(axis=1)
    own = (epochs["seconds"] - shared).dropna()  # imported epochs have no time
    mean = own.groupby(label).mean()
    notes = [f"Left out of the times: {what}." for what in damaged.values()]
    return {str(arm): float(seconds) for arm, seconds in mean.items()}, notes


def _cost(
    done: Sequence[Mapping[str, Any]],
    seconds: float | None,
    pure: float | None,
    before: float | None,
) -> Cost:
    trained, student = done[0]["method_parameters"], done[0]["parameters"]
    return (
        trained,
        100 * trained / student if trained is not None and student else None,
        done[0]["method_frozen_parameters"],
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


def _before(done: Sequence[Mapping[str, Any]], parts: list[dict[str, Any]]) -> float | None:
    """The mean seconds of training what these students had trained before, per teacher."""
    teachers = {run["teacher_sha256"] for run in done}
    spent = [
        part["seconds"]
        for part in parts
        if part["method"] == done[0]["method"] and part["key"]["teacher"] in teachers
    ]
    return sum(spent) / len(spent) if spent else None


def _done(arm: Arm) -> list[dict[str, Any]]:
    """The rows of its completed runs, valid or not."""
    return [run for run in arm.runs if run["state"] == "done"]
