"""`report`: the document of a round, as a page and as Markdown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.options import HERE, RootOption, RoundArgument, again
from stillhouse.cli.output import follow, say


def report(
    round_: RoundArgument,
    root: RootOption = HERE,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", help="Fill the marked places of this Markdown file, and write nothing else."
        ),
    ] = None,
) -> None:
    """Write the report of a round: one page (report.html) and its Markdown twin (README.md).

    Example: stillhouse report rounds/digits.yaml
    """
    from stillhouse.exchange.archive import archive_of
    from stillhouse.rounds.find import open_round
    from stillhouse.show.report.build import fill_file, read_material, write_report
    from stillhouse.show.report.content import document

    workspace, loaded, file = open_round(root, round_)
    found = document(read_material(workspace, loaded, file))
    if into is not None:
        fill_file(found, into)
        say(f"filled {into}")
    else:
        html, text = write_report(found, archive_of(workspace, loaded.round).path)
        say(f"wrote {text}")
        say(f"wrote {html}")
    follow(again("archive", round_, root))
