"""`stillhouse data fetch|check`: the datasets on this machine."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.common import DataRootOption
from stillhouse.cli.output import Format, say, show
from stillhouse.errors import DataError
from stillhouse.tables import Table

app = typer.Typer(help="Fetch datasets, and check that they are ready.", no_args_is_help=True)


@app.command()
def fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Which datasets.")],
    data_root: DataRootOption = None,
) -> None:
    """Download datasets, or find that they are here already."""
    from stillhouse import data

    root = data.data_root(data_root)
    for name in names:
        data.spec(name)
    for name in names:
        data.fetch(name, root)
        say(f"{name}: ready")
    say("next: stillhouse plan ROUND")


@app.command()
def check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which datasets (default: all).")
    ] = None,
    data_root: DataRootOption = None,
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Say which datasets are ready, and what to type for those that are not."""
    from stillhouse import data

    root = data.data_root(data_root)
    found: dict[str, str] = {}
    problems: dict[str, DataError] = {}
    names = names or data.names()
    for name in names:
        try:
            found[name] = data.check(name, root)
        except DataError as error:
            problems[name] = error
    rows = tuple(
        (name, "not ready", problems[name].message, problems[name].hint)
        if name in problems
        else (name, "ready", found[name], "")
        for name in names
    )
    table = Table(f"Datasets in {root}", ("Dataset", "State", "What is there", "Cure"), rows)
    show(table, format, "" if problems else "stillhouse plan ROUND")
    if problems:
        first = next(iter(problems.values()))
        raise DataError(f"{len(problems)} of {len(names)} datasets are not ready", first.hint)
