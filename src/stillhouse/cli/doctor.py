"""`stillhouse doctor`: why runs failed, are stuck or cannot be trusted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.common import HERE, RootOption, again
from stillhouse.cli.output import Format, show


def doctor(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|ROUND]",
            help="A round, or one run's folder below experiments/ (default: the active round).",
        ),
    ] = None,
    root: RootOption = HERE,
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Name the cause of every failed, stuck, unsound or invalid run, with evidence and cure."""
    from stillhouse.diagnosis.read import read_round
    from stillhouse.diagnosis.report import report
    from stillhouse.diagnosis.target import find

    workspace, round_, file, run = find(root, target)
    cases = [case for case in read_round(workspace, round_) if run in (None, case.path)]
    table, listing, wrong = report(run or f"round {round_.round}", cases, workspace.root)
    shown = file if target is None or run else Path(target)
    people = format not in (Format.csv, Format.json)
    show(listing if people else table, format, again("status", str(shown), root))
    raise typer.Exit(1 if wrong else 0)
