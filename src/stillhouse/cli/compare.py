"""`stillhouse compare A B`: two rounds, their settings and their results."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.common import HERE, RootOption
from stillhouse.cli.output import Format, show


def compare(
    a: Annotated[str, typer.Argument(help="The earlier round: a workspace, a name or a file.")],
    b: Annotated[str, typer.Argument(help="The later round.")],
    root: RootOption = HERE,
    accuracy: Annotated[str, typer.Option(help="final or best: which epoch's accuracy.")] = "final",
    format: Annotated[Format, typer.Option(help="How the tables are written.")] = Format.rich,
) -> None:
    """Compare two rounds: changed settings, results cell by cell, what was fixed or got worse.

    For csv and json only the results are written; `stillhouse diff` writes the settings.
    """
    from stillhouse.rounds.find import locate
    from stillhouse.rounds.survey import survey
    from stillhouse.show.compare import results_numbers, results_table, settings_table
    from stillhouse.show.results import which_epoch

    (first, earlier, _), (second, later, file) = locate(root, a), locate(root, b)
    write = results_numbers
    if format not in (Format.csv, Format.json):
        show(settings_table(earlier, later), format)
        write = results_table
    results = write(survey(first, earlier), survey(second, later), which_epoch(accuracy))
    show(results, format, f"stillhouse observe {file} --root {second.root}")
