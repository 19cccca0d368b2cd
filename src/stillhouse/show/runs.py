"""`stillhouse list runs`: one row per run."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from stillhouse.errors import unknown_name
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.stats.columns import RUNS, records
from stillhouse.stats.runs import runs_frame
from stillhouse.tables import Cell as Value
from stillhouse.tables import Table, from_rows

# What a narrow terminal goes without first: it stands in the run's path, or is seldom asked for.
SPARE = (
    *("dataset", "method", "axis", "value", "student", "teacher", "seed"),
    *("valid", "loss", "best_epoch", "epochs", "best_accuracy"),
)


def runs_table(
    survey: Survey, cells: Iterable[Cell], numbers: bool = False, columns: str | None = None
) -> Table:
    """Some runs of a round as they are in the long table of runs (docs/tables.md).

    `numbers`: for programs, with every column; for readers those up to `loss` and `why`.
    `columns` names others in their order, separated by commas. Raises ConfigError for one that
    there is not.
    """
    title = f"round {survey.round.round}: test accuracy (%) of every run"
    rows = records(chosen_runs(survey, cells, columns))
    if numbers:
        return from_rows(title, rows)
    if columns is None:
        return _for_readers(title, rows)
    cells_ = (tuple(_short(name, value) for name, value in row.items()) for row in rows)
    return Table(f"round {survey.round.round}: its runs", tuple(rows[0]), tuple(cells_), keys=1)


def chosen_runs(survey: Survey, cells: Iterable[Cell], columns: str | None) -> pd.DataFrame:
    """Return the long table of some runs, with the named columns only.

    Raises ConfigError for a column that there is not.
    """
    found = runs_frame(Survey(survey.round, list(cells)))
    if columns is None:
        return found
    names = [name.strip() for name in columns.split(",")]
    for name in names:
        if name not in found:
            raise unknown_name("column", name, map(str, found.columns))
    return found[list(dict.fromkeys(names))]


def _for_readers(title: str, rows: list[dict[str, Value]]) -> Table:
    """Without columns that hold nothing; why a run has no accuracy stands below."""
    names = [column.name for column in RUNS]
    known = {name for row in rows for name, value in row.items() if value is not None}
    shown = [n for n in (*names[: names.index("loss") + 1], "epochs") if n in known]
    cells = [tuple(_short(name, row[name]) for name in shown) for row in rows]
    notes = tuple(f"{row['run']}: {row['why']}" for row in rows if row["why"])
    spare = tuple(name for name in SPARE if name in shown)
    return Table(title, tuple(shown), tuple(cells), notes, keys=1, spare=spare)


def _short(name: str, value: Value) -> Value:
    if name.endswith("accuracy") and isinstance(value, float):
        return f"{value:.2f}"
    return round(value, 3) if isinstance(value, float) else value
