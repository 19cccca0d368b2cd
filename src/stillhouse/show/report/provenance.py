"""Where the numbers of a report come from: code, packages, machines, data, dates."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from stillhouse.exchange.archive import archive_of
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.records import Run
from stillhouse.show.report.document import Block, Paragraph
from stillhouse.tables import Table

DIGITS = 12


def provenance(workspace: Workspace, survey: Survey) -> tuple[Block, ...]:
    """A table of what the runs were trained with, and one of the archive's dates."""
    records = [(c.config.dataset, run) for c in survey.cells if (run := c.started)]
    counts: dict[str, Counter[str]] = {}
    for dataset, run in records:
        for what, value in _facts(dataset, run).items():
            counts.setdefault(what, Counter())[value] += 1
    rows = tuple(
        (what, value, number) for what, found in counts.items() for value, number in found.items()
    )
    blocks: list[Block] = [
        Table("What the runs were trained with", ("What", "Value", "Runs"), rows)
        if rows
        else Paragraph("No run has recorded where it was trained.")
    ]
    if events := archive_of(workspace, survey.round.round).record["events"]:
        dates = tuple((one["event"], _date(one["time"]), one["code"]) for one in events)
        blocks.append(Table("Archive", ("Event", "Time (UTC)", "stillhouse"), dates))
    return tuple(blocks)


def _facts(dataset: str, run: Run) -> dict[str, str]:
    machine, code = run.get("machine", {}), run.get("code", {})
    packages = machine.get("packages", {})
    found = {
        "Code": _code(code.get("version"), code.get("source")),
        "Packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "Python": machine.get("python"),
        "Device": machine.get("gpu") or machine.get("processor") or machine.get("device"),
        "Threads": machine.get("threads"),
        f"Data of {dataset}, SHA-256": (run.get("data") or "")[:DIGITS],
    }
    return {what: str(value) for what, value in found.items() if value}


def _code(version: str | None, source: str | None) -> str:
    return f"stillhouse {version}, source SHA-256 {source[:DIGITS]}" if version and source else ""


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
