"""The document's result tables: accuracies by method and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from stillhouse import data
from stillhouse.rounds.provenance import footnotes, unknown_fields
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.stats.arms import COLUMN, SHOWN, Arm, Which, arms
from stillhouse.stats.frame import FAILED as TRIED
from stillhouse.stats.summary import which_epoch
from stillhouse.tables import Table, from_rows

FAILED = "FAILED"
NOTHING = "no run is done"
DDOF = "The standard deviation divides by n - 1 and is shown from three seeds on."
VALID = "Valid is a completed run that learned something; no other is in a mean."


def seed_tables(survey: Survey, which: str | None, numbers: bool = False) -> list[Table]:
    """One table per dataset: a row per method and network, a column per seed, mean ± std.

    `numbers`: for programs, one number per cell. Raises ConfigError unless `which` is `final`,
    `best` or `ema`.
    """
    kind, write = which_epoch(which), _seed_numbers if numbers else _seed_table
    return [write(survey, dataset, kind) for dataset in survey.round.datasets]


def _seed_table(survey: Survey, dataset: str, which: Which) -> Table:
    seeds = sorted({cell.config.seed for cell in survey.cells})
    found = arms(survey, dataset, which)
    rows = []
    for arm in found if tried(found) else ():
        by_seed = {run["seed"]: _shown(run, which) for run in arm.runs}
        shown = [by_seed.get(seed) for seed in seeds]
        planned = f"{arm.summary.n}/{len(arm.cells)}"
        rows.append((arm.label, *shown, arm.summary.text(), planned))
    mean = "Mean ± Std" if _varied(found) else "Mean"
    names = [f"Seed {seed}" for seed in seeds]
    notes, details = results_notes(survey, found)
    return Table(
        title(survey, dataset, which),
        ("Model / Method", *names, mean, "n"),
        tuple(rows),
        notes,
        keys=1,
        spare=("n", *reversed(names)),
        bold=frozenset((row, len(seeds) + 1) for row in best(found)),
        details=details,
        empty=NOTHING,
    )


def tried(found: Sequence[Arm]) -> bool:
    """Whether there is a result, or a failure, to show."""
    return any(cell.state.name == "done" or cell.shown in TRIED for a in found for cell in a.cells)


def best(found: Sequence[Arm]) -> list[int]:
    """The places of the students with the highest mean, as it is shown."""
    means = {
        place: round(arm.summary.mean, 2)
        for place, arm in enumerate(found)
        if arm.role != "teacher" and arm.summary.mean is not None
    }
    return [place for place, mean in means.items() if mean == max(means.values())]


def _seed_numbers(survey: Survey, dataset: str, which: Which) -> Table:
    found = arms(survey, dataset, which)
    rows = [{**arm.numbers(survey), "why": arm.why} for arm in found]
    notes, details = results_notes(survey, found)
    return from_rows(title(survey, dataset, which), rows, (*notes, *details))


def title(survey: Survey, dataset: str, which: Which) -> str:
    """What stands above a dataset's table."""
    return (
        f"round {survey.round.round}, {label(survey, dataset)}: test accuracy (%), {SHOWN[which]}"
    )


def _varied(found: Sequence[Arm]) -> bool:
    return any(arm.summary.std is not None for arm in found)


def results_notes(survey: Survey, found: Sequence[Arm]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands below a table, and what is shown with `--notes`."""
    std = "±: sample standard deviation over seeds. " if _varied(found) else ""
    notes = [f"{std}n: valid runs, of those planned."]
    dataset = found[0].cells[0].config.dataset
    cells = [cell for arm in found for cell in arm.cells]
    if found[0].which == "best":
        on = "validation images" if survey.validated(dataset) else "test images, which flatters it"
        notes.append(f"The best epoch was chosen on the {on}.")
    notes += [*not_counted(cells), *unknown_fields(survey), *footnotes(survey, dataset)]
    details = [DDOF] if _varied(found) else []
    return tuple(notes), (*details, VALID, *left_out(cells))


def not_counted(cells: Sequence[Cell]) -> list[str]:
    """One sentence on runs that were tried and count nowhere, if there are any."""
    count = len(left_out(cells))
    if not count:
        return []
    what = "1 run failed or is" if count == 1 else f"{count} runs failed or are"
    return [f"{what} not finished, and left out: --notes gives the reasons."]


def left_out(cells: Sequence[Cell]) -> tuple[str, ...]:
    """Every run that was tried and counts nowhere, with its reason."""
    return tuple(
        f"{cell.config.path}: {cell.shown}: {cell.why}" for cell in cells if cell.shown in TRIED
    )


def once(tables: Sequence[Table], explained: bool) -> list[Table]:
    """The tables for readers: what is noted under each stands below the last alone.

    `explained`: with all notes, else with a hint if there are more.
    """
    every = [
        (*one.notes, *(one.details if explained else ())) if one.rows else () for one in tables
    ]
    if not any(one.rows for one in tables):
        return [replace(one, notes=(), details=()) for one in tables]
    filled = [notes for notes in every if notes]
    shared = [note for note in dict.fromkeys(sum(filled, ())) if all(note in n for n in filled)]
    own = [[note for note in notes if note not in shared] for notes in every]
    hint = (
        ["--notes explains every column."]
        if not explained and any(t.details for t in tables)
        else []
    )
    own[-1] += [*shared, *hint]
    return [
        replace(one, notes=tuple(notes), details=()) for one, notes in zip(tables, own, strict=True)
    ]


def join(tables: Sequence[Table], datasets: Sequence[str]) -> Table:
    """The tables of some datasets as one, for programs: dataset and title stand in each row."""
    columns = ("Dataset", "Title", *tables[0].columns)
    rows = [
        (dataset, table.title, *row)
        for dataset, table in zip(datasets, tables, strict=True)
        for row in table.rows
    ]
    notes = dict.fromkeys(note for table in tables for note in table.notes)
    titles = "; ".join(table.title for table in tables)
    return Table(titles, columns, tuple(rows), tuple(notes))


def label(survey: Survey, dataset: str) -> str:
    """A dataset's name for readers."""
    return data.spec(dataset, survey.round.files).label


def _shown(run: Mapping[str, Any], which: Which) -> str | None:
    if run["valid"] == "no" or run["state"] in ("failed", "unreadable"):
        return FAILED
    accuracy = run[COLUMN[which]]
    return None if accuracy is None else f"{accuracy:.2f}"
