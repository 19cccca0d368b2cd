"""`stillhouse figure`: pictures of a round."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.common import HERE, RootOption, RoundArgument, again
from stillhouse.cli.output import say


def figure(
    round_: RoundArgument,
    out: Annotated[Path, typer.Option(help="The folder that takes a picture per dataset.")] = HERE,
    root: RootOption = HERE,
    kind: Annotated[str, typer.Option(help="png, svg or pdf.")] = "png",
) -> None:
    """Draw the test accuracies: every seed, mean and sample standard deviation per method."""
    os.environ["MPLBACKEND"] = "agg"  # with an unknown one matplotlib is not even imported
    from stillhouse import data
    from stillhouse.errors import ConfigError
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.figures.accuracy import accuracy_figure
    from stillhouse.show.figures.style import save
    from stillhouse.stats.arms import arms

    if kind not in ("png", "svg", "pdf"):
        raise ConfigError(f"--kind {kind}", "expected png, svg or pdf")
    workspace, loaded, _ = open_round(root, round_)
    seen = survey(workspace, loaded)
    out.mkdir(parents=True, exist_ok=True)
    for dataset in loaded.datasets:
        path = out / f"{loaded.round}-{dataset}-accuracy.{kind}"
        title = f"{data.spec(dataset, loaded.files).label}, round {loaded.round}"
        save(accuracy_figure(title, arms(seen, dataset)), path)
        say(str(path))
    say(f"next: {again('table', round_, root)}")
