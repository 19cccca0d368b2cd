"""`stillhouse list runs`: one row per run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stillhouse.rounds.survey import Cell
from stillhouse.tables import Table, from_rows


def runs_table(cells: Iterable[Cell]) -> Table:
    """One row per run: its settings, its state and, of a completed run, its accuracies in percent.

    `valid` says of a completed run whether it learned something, `why` what is wrong with a run.
    """
    rows = [_row(cell) for cell in cells]
    return from_rows("runs: accuracies in percent", rows)


def _row(cell: Cell) -> dict[str, Any]:
    run, result = cell.config, cell.state.result
    final = result["final"]["test"] if result else None
    best = result["best"] if result else None
    valid = ("no" if cell.unsound else "yes") if result else None
    return {
        "run": run.path,
        "dataset": run.dataset,
        "method": run.method,
        "axis": " ".join(run.axes) or None,
        "value": " ".join(f"{value:g}" for value in run.axes.values()) or None,
        "student": run.model,
        "teacher": run.teacher.model if run.teacher else None,
        "seed": run.seed,
        "state": cell.shown,
        "valid": valid,
        "accuracy": final["accuracy"] if final else None,
        "best_accuracy": best["test_accuracy"] if best else None,
        "best_epoch": best["epoch"] if best else None,
        "loss": final.get("ce") if final else None,
        "epochs": cell.state.epoch,
        "why": cell.why or None,
    }
