"""`watch`: follow a round that trains elsewhere."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Annotated

import typer

from stillhouse.cli.options import HERE, OnlyOption, RootOption, RoundArgument, again
from stillhouse.cli.output import follow, say


def watch(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    every: Annotated[
        float, typer.Option(min=0.2, max=3600, help="Seconds between two looks.")
    ] = 2.0,
    track: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Write the runs for tensorboard or wandb, below analysis/experiment_ROUND.",
        ),
    ] = None,
) -> None:
    """Follow a round that trains elsewhere, on this machine or a cluster. Ctrl-C leaves.

    With --track it also writes the runs for other programs, of a finished round too.

    Example: stillhouse watch rounds/digits.yaml
    """
    from rich.console import Console

    from stillhouse.exchange.archive import archive_of
    from stillhouse.exchange.trackers.replay import Replay
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import Watched
    from stillhouse.show.progress import Progress
    from stillhouse.show.status import summary

    workspace, loaded, _ = open_round(root, round_)
    watched = Watched(workspace, loaded, only)
    survey = watched.look()
    place = archive_of(workspace, loaded.round).path
    with suppress(KeyboardInterrupt), Progress(Console()) as progress:
        followers: list[Progress | Replay] = [progress]
        followers += [Replay(name, place / name, progress.say) for name in track or ()]
        while True:
            for follower in followers:
                follower.update(survey)
            if survey.trained:
                break
            time.sleep(every)
            survey = watched.look()
    say(summary(survey, workspace.experiments))
    follow(again("table" if survey.trained else "status", round_, root))
