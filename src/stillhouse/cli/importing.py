"""`stillhouse import`: an earlier round's records as a workspace that every command reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.common import again
from stillhouse.cli.output import Format, say, show


def import_(
    source: Annotated[
        Path, typer.Argument(metavar="PATH", help="The folder above the earlier experiments/.")
    ],
    name: Annotated[str, typer.Option("--as", help="The round's name.")],
    root: Annotated[
        Path | None, typer.Option(help="The new workspace (default: a folder of the round's name).")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="A round file with the recipe and legacy notes, which the records lack "
            "(default: rounds/NAME.yaml if it is there)."
        ),
    ] = None,
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Read what earlier scripts left, unfinished runs included; the source stays as it is."""
    from stillhouse.exchange.scripts.summary import import_table
    from stillhouse.exchange.scripts.write import import_round

    shipped = Path("rounds") / f"{name}.yaml"
    recipe = recipe or (shipped if shipped.is_file() else None)
    home = root or Path(name)
    done = import_round(source, name, home, recipe)
    if recipe:
        say(f"recipe and legacy notes: {recipe}", err=True)
    show(import_table(done), format, again("status", name, home))
