"""Every run of a report: one row each, and what is shown when it is opened."""

from __future__ import annotations

from collections import deque

from stillhouse.diagnosis.case import Case
from stillhouse.errors import RunError, printable
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.show.report.document import Block, Paragraph, RunSection
from stillhouse.show.report.material import Material
from stillhouse.show.report.pictures import curves
from stillhouse.tables import Listing, Table

DECIMALS = 2
LOG_LINES = 12
LONGEST_LINE = 160


def all_runs(survey: Survey) -> Table:
    """One row per run, in the order of the matrix."""
    columns = ("Run", "State", "Accuracy %", "Best %", "Epoch", "Reason")
    return Table("All runs", columns, tuple(map(_row, survey.cells)))


def _row(cell: Cell) -> tuple[str | float | int | None, ...]:
    result = cell.state.result
    final = result["final"]["test"]["accuracy"] if result else None
    best = result["best"]["test_accuracy"] if result else None
    epochs = f"{cell.state.epoch}/{cell.config.training.epochs}"
    shown = (None if value is None else round(value, DECIMALS) for value in (final, best))
    return (cell.config.path, cell.shown, *shown, epochs, cell.why or None)


def run_section(cell: Cell, case: Case | None, material: Material) -> RunSection:
    """A run's curves, how its settings differ from its peers', causes, and the end of its log."""
    blocks: list[Block] = []
    try:
        records = cell.folder.records() if cell.state.name != "missing" else []
    except RunError as error:
        records = []
        blocks.append(Paragraph(f"The epoch records cannot be read: {error.message}."))
    if records:
        test = [record["test"]["accuracy"] for record in records]
        train = [record.get("train", {}).get("accuracy") for record in records]
        blocks.append(curves(cell.config.path, test, train))
    if settings := _own_settings(cell, material.survey):
        blocks.append(settings)
    if case is not None:
        blocks += _causes(case, material)
        blocks += _log(case)
    if not blocks:
        blocks.append(Paragraph("Nothing has been recorded yet."))
    return RunSection(cell.config.path, cell.shown, cell.config.label, tuple(blocks))


def _own_settings(cell: Cell, survey: Survey) -> Table | None:
    """The fields of the recipe in which a run differs from the round's."""
    common = survey.round.training.model_dump()
    own = cell.config.training.model_dump()
    rows = [(name, str(own[name]), str(common[name])) for name in own if own[name] != common[name]]
    rows += [(name, f"{value:g}", "") for name, value in cell.config.axes.items()]
    if not rows:
        return None
    return Table("Settings of its own", ("Field", "This run", "The round"), tuple(rows))


def _causes(case: Case, material: Material) -> list[Block]:
    from stillhouse.diagnosis.report import report

    _, listing, _ = report(case.path, [case], material.workspace.experiments)
    return [Listing("Doctor", listing.items)] if listing.items else []


def _log(case: Case) -> list[Block]:
    last = deque(case.lines, maxlen=LOG_LINES)
    if not last:
        return []
    rows = tuple((line.number, printable(line.text.rstrip())[:LONGEST_LINE]) for line in last)
    return [Table(f"The end of {last[-1].file.name}", ("Line", "Text"), rows)]
