"""`stillhouse list runs`: one row per run."""

from __future__ import annotations

from collections.abc import Iterable

from stillhouse.rounds.survey import Cell, Survey
from stillhouse.stats.columns import RUNS, records
from stillhouse.stats.runs import runs_frame
from stillhouse.tables import Table, from_rows


def runs_table(seen: Survey, cells: Iterable[Cell], numbers: bool = False) -> Table:
    """Some runs of a round as they are in the long table of runs (docs/tables.md).

    `numbers`: for programs, with every column; for readers those up to `loss` and `why`.
    """
    rows = records(runs_frame(Survey(seen.round, list(cells))))
    if not numbers:
        names = [column.name for column in RUNS]
        shown = [*names[: names.index("loss") + 1], "epochs", "why"]
        rows = [{name: row[name] for name in shown} for row in rows]
    return from_rows("runs: accuracies in percent", rows)
