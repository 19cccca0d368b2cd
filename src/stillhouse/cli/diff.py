"""`stillhouse diff A B`: what changed from one round to another, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.output import Format, show
from stillhouse.config.diff import diff_rounds
from stillhouse.config.load import check_parameters, load_round


def diff(
    a: Annotated[Path, typer.Argument(help="The earlier round's file.")],
    b: Annotated[Path, typer.Argument(help="The later round's file; its reasons are shown.")],
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Show the settings in which two rounds differ, with the later round's reasons."""
    rounds = []
    for path in (a, b):
        round_ = load_round(path)
        check_parameters(round_, path)
        rounds.append(round_)
    show(diff_rounds(*rounds), format, f"stillhouse plan {b}")
