"""`stillhouse check FILE`: does a file of one's own keep what a round relies on?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.common import DataRootOption
from stillhouse.cli.output import Format, show
from stillhouse.tables import Table


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A method, a model or a dataset.")],
    images: Annotated[
        str, typer.Option(help="The dataset for whose images a model is checked.")
    ] = "Cifar10",
    data_root: DataRootOption = None,
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Check a file of your own by running it: a method, a model or a dataset."""
    from stillhouse import data
    from stillhouse.contract.file import check_file
    from stillhouse.own import own_file

    own = own_file(file)
    verdicts = list(check_file(own, data.data_root(data_root), images))
    rows = tuple(
        (verdict.check, "FAILED" if verdict.reason else "passed", verdict.reason or None)
        for verdict in verdicts
    )
    failed = sum(bool(verdict.reason) for verdict in verdicts)
    title = f"{own.kind} {own.name}: {len(rows) - failed} of {len(rows)} checks passed"
    again = f"stillhouse check {file}" if failed else "stillhouse plan ROUND"
    show(Table(title, ("Check", "Result", "Reason"), rows), format, again)
    raise typer.Exit(1 if failed else 0)
