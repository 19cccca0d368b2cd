"""Analysis of a round: `extract`."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    DataRootOption,
    DeviceOption,
    FormatOption,
    JobsOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import Format, say, show


def extract(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    weights: Annotated[
        str,
        typer.Option(
            help="final or best; for an imported round the files, as in 'old/{run}/best.pth'."
        ),
    ] = "final",
    jobs: JobsOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    format: FormatOption = Format.rich,
) -> None:
    """Record what every trained network computes for the test images and 10,000 training images.

    Writes representations.safetensors and extracted.json into each run's folder; what is there
    already is kept. The exit code is 1 if a run failed.

    Example: stillhouse extract rounds/digits.yaml --jobs 2
    """
    from stillhouse import data
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import survey
    from stillhouse.show.extract import extract_table

    workspace, loaded, _ = open_round(root, round_)
    table, sound = extract_table(
        workspace,
        survey(workspace, loaded, only),
        weights,
        data.data_root(data_root),
        device,
        jobs,
        partial(say, err=True),
    )
    show(table, format, again("analyze", round_, root))
    raise typer.Exit(0 if sound else 1)
