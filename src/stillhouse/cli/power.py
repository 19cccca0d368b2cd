"""`stillhouse power`: how many seeds a difference needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.common import HERE, RootOption, again
from stillhouse.cli.output import Format, show
from stillhouse.errors import ConfigError

if TYPE_CHECKING:
    from stillhouse.show.power import Design


def power(
    round_: Annotated[
        str | None, typer.Argument(metavar="[ROUND]", help="A round whose spread is used.")
    ] = None,
    root: RootOption = HERE,
    difference: Annotated[
        float, typer.Option(min=0.01, max=100, help="The difference to find, in points.")
    ] = 0.5,
    sd: Annotated[
        float | None,
        typer.Option(
            min=0.001, max=100, help="Spread in points instead: of one arm, or of the pairs."
        ),
    ] = None,
    paired: Annotated[
        bool, typer.Option("--paired", help="With --sd: it is of the paired differences.")
    ] = False,
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Say how many seeds a difference needs, and what three seeds can and cannot show."""
    from stillhouse.show.power import Design, power_records, power_table

    if (sd is None) == (round_ is None):
        raise ConfigError("give a round whose spread is used, or --sd", "as in: power --sd 0.3")
    if sd is not None:
        found = [Design("planned", sd, "paired" if paired else "welch", 1, "given")]
    else:
        found = _of_round(str(round_), root)
    tables = [power_table(one, difference) for one in found]
    if format in (Format.csv, Format.json):
        tables = [power_records(found, difference)]
    for one in tables[:-1]:
        show(one, format)
    next_command = again("plan", round_, root) if round_ else "stillhouse plan ROUND"
    show(tables[-1], format, next_command)


def _of_round(name: str, root: Path) -> list[Design]:
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.power import designs

    workspace, loaded, _ = open_round(root, name)
    found = designs(survey(workspace, loaded))
    if not found:
        raise ConfigError(
            f"round '{loaded.round}' shows no spread yet: it takes three completed and valid seeds "
            "of a method, which differ from the pure student's by more than one test image",
            "assume one: stillhouse power --sd 0.3",
        )
    return found
