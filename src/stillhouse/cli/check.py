"""`stillhouse check FILE`: does a file of one's own keep what a round relies on?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.common import DataRootOption
from stillhouse.cli.output import Format, show
from stillhouse.tables import Table

if TYPE_CHECKING:
    from stillhouse.training.contract.verdict import Bug


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
    from stillhouse.own import own_file
    from stillhouse.training.contract.file import check_file
    from stillhouse.training.contract.verdict import bugs

    own = own_file(file)
    verdicts = list(check_file(own, data.data_root(data_root), images))
    found = {bug.checks[0]: bug for bug in bugs(verdicts)}
    rows = tuple(
        _broken(found[verdict.check], own.path)
        if verdict.reason
        else (verdict.check, "passed", None)
        for verdict in verdicts
        if not verdict.reason or verdict.check in found
    )
    failed = sum(bool(verdict.reason) for verdict in verdicts)
    title = f"{own.kind} {own.name}: {len(verdicts) - failed} of {len(verdicts)} checks passed"
    again = f"stillhouse check {file}" if failed else "stillhouse plan ROUND"
    show(Table(title, ("Check", "Result", "Reason"), rows), format, again)
    raise typer.Exit(1 if failed else 0)


def _broken(bug: Bug, path: Path) -> tuple[str, str, str]:
    """The row of a bug: the first check that it breaks and how many more, where it is and what."""
    more = len(bug.checks) - 1
    check = bug.checks[0] + (f" and {more} more" if more else "")
    where = "" if bug.reason.startswith(str(path)) else f"{bug.line or path}: "
    return check, "FAILED", where + bug.reason
