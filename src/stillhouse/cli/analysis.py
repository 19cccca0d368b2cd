"""Analysis of a round: `extract`, `analyze` and `report`."""

from __future__ import annotations

import os
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    AccuracyOption,
    DataRootOption,
    DeviceOption,
    FormatOption,
    JobsOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import Format, follow, say, show
from stillhouse.errors import ConfigError, unknown_name
from stillhouse.show.figures import FIGURES

FigureOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help=f"A figure (default: all): {', '.join(FIGURES)}."),
]
MeasureOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="An additional measure (docs/measures.md)."),
]


class Picture(StrEnum):
    """How a figure is written."""

    png = "png"
    svg = "svg"
    pdf = "pdf"


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
    from stillhouse.rounds.find import open_survey
    from stillhouse.show.extract import extract_table

    workspace, survey, _ = open_survey(root, round_, only)
    workspace.refuse_archived()
    table, complete = extract_table(
        workspace,
        survey,
        weights,
        data.data_root(data_root),
        device,
        jobs,
        partial(say, err=True),
    )
    show(table, format, again("analyze", round_, root))
    raise typer.Exit(0 if complete else 1)


def analyze(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    figure: FigureOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The folder (default: analysis/experiment_ROUND/figures in the workspace)."
        ),
    ] = None,
    accuracy: AccuracyOption = None,
    jobs: JobsOption = None,
    measure: MeasureOption = None,
    format: Annotated[
        Picture | None, typer.Option(help="How figures are written (default: all three).")
    ] = None,
) -> None:
    """Write a round's tables and figures: accuracies, and what the extracted layers have in common.

    Tables are of the whole round; those of layers need `stillhouse extract`. With --figure only
    figures are drawn, from the tables that are there. Beside each picture stand the plotted values
    (.csv) and a caption (.md).

    Example: stillhouse analyze rounds/digits.yaml --figure accuracy --format pdf
    """
    os.environ["MPLBACKEND"] = "agg"  # with an unknown one matplotlib is not even imported
    from stillhouse.rounds.find import open_survey
    from stillhouse.rounds.survey import part
    from stillhouse.show.analyze import analyze_table
    from stillhouse.show.figures.from_tables import read_tables, write_figures
    from stillhouse.stats.summary import which_epoch

    for name in figure or ():
        if name not in FIGURES:
            raise unknown_name("figure", name, FIGURES)
    workspace, whole, _ = open_survey(root, round_)
    if out is None or not figure:
        workspace.refuse_archived()
    survey, which = part(whole, only), which_epoch(accuracy)
    if not figure:
        transfer, files = analyze_table(
            workspace, whole, jobs, partial(say, err=True), measure or ()
        )
        show(transfer, Format.rich)
        for file in files:
            say(str(file))
    home = workspace.analysis(whole.round.round)
    folder, kinds = out or home / "figures", [format] if format else list(Picture)
    folder.mkdir(parents=True, exist_ok=True)
    names = [name for name in FIGURES if name in (figure or FIGURES)]
    tables = read_tables(home / "tables", workspace, survey, names, which)
    for written in write_figures(tables, survey.round.datasets, names, folder, kinds):
        say(str(written))
    follow(again("table", round_, root))


def report(
    round_: RoundArgument,
    root: RootOption = HERE,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", help="Fill the marked places of this Markdown file, and write nothing else."
        ),
    ] = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Keep the page fresh on 127.0.0.1 while runs train.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="With --serve: the port (default: a free one).")
    ] = 0,
) -> None:
    """Write the report of a round: one page (report.html) and its Markdown twin (README.md).

    With --serve a browser on this machine shows it and follows the training. It ends with the
    training, or at Ctrl-C.

    Example: stillhouse report rounds/digits.yaml
    """
    from stillhouse.exchange.archive import archive_of
    from stillhouse.rounds.find import open_round
    from stillhouse.show.report.build import (
        fill_file,
        read_material,
        serve_report,
        write_report,
    )
    from stillhouse.show.report.content import document

    if into is not None and serve:
        raise ConfigError("choose one of --into and --serve")
    workspace, loaded, file = open_round(root, round_)
    if into is None:
        workspace.refuse_archived()
    if serve:
        serve_report(workspace, loaded, file, port, say)
    found = document(read_material(workspace, loaded, file))
    home = archive_of(workspace, loaded.round).path
    if into is not None:
        fill_file(found, into, home)
        say(f"filled {into}")
    else:
        html, text = write_report(found, home)
        say(f"wrote {text}")
        say(f"wrote {html}")
    follow(again("archive", round_, root))
