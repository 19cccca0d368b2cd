"""`plan --choose`: every value of the search with its validation accuracy, and the chosen one."""

from __future__ import annotations

from stillhouse import methods
from stillhouse.config.schema import Round
from stillhouse.rounds.choose import Point, best
from stillhouse.tables import Table

COLUMNS = ("Method", "Values", "Runs", "Validation accuracy (%)", "Chosen")
NOTES = (
    "Validation accuracy: of the final epoch, mean over datasets, networks and seeds; of equal "
    "means the smaller value is chosen. Test images have no part in it.",
)


def choice_table(round_: Round, found: dict[str, list[Point]]) -> Table:
    """Return one row per method and tried value."""
    rows = []
    for method, points in found.items():
        label, chosen = methods.declared(method, round_.files).label, best(points)
        for point in points:
            values = " ".join(f"{name}={value:g}" for name, value in point.values.items())
            mean = "failed" if point.mean is None else f"{point.mean:.2f}"
            mark = "yes" if point is chosen else None
            rows.append((label, values or "as published", str(point.runs), mean, mark))
    return Table(f"round {round_.round}: chosen values", COLUMNS, tuple(rows), NOTES)
