"""`stillhouse observe`: the key observations of a round."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.common import HERE, RootOption, RoundArgument, again
from stillhouse.cli.output import Format, show


def observe(
    round_: RoundArgument,
    root: RootOption = HERE,
    accuracy: Annotated[str, typer.Option(help="final or best: which epoch's accuracy.")] = "final",
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """List what the numbers say and what they do not, each with its rule and its runs."""
    from stillhouse import data
    from stillhouse.diagnosis.observations.rules import observation_list, observation_records
    from stillhouse.diagnosis.observations.rules import observe as find
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.results import which_epoch

    workspace, loaded, _ = open_round(root, round_)
    found = find(survey(workspace, loaded), which_epoch(accuracy))
    next_command = again("table", round_, root)
    if format in (Format.csv, Format.json):
        show(observation_records(loaded.round, found), format, next_command)
        return
    for number, name in enumerate(loaded.datasets, start=1):
        own = [one for one in found if one.dataset == name]
        label = data.spec(name, loaded.files).label
        listing = observation_list(loaded.round, label, own)
        show(listing, format, next_command if number == len(loaded.datasets) else "")
