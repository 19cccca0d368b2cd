"""What there is: `methods`, `models`, `datasets`; and `explain METHOD`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.common import HERE, RootOption, again
from stillhouse.cli.output import Format, show
from stillhouse.own import Files
from stillhouse.tables import Table

FormatOption = Annotated[Format, typer.Option(help="How the table is written.")]
FilesOption = Annotated[
    str | None, typer.Option("--round", help="A round: the files of your own that it names, too.")
]
CLASSES, CHANNELS, SIZE = 100, 3, 32


def methods(
    round_: FilesOption = None, root: RootOption = HERE, format: FormatOption = Format.rich
) -> None:
    """List the methods a round may name, with the parameters of each."""
    from stillhouse.config import names

    files = _files(round_, root)
    rows = tuple(
        (
            name,
            names.label(name, files),
            names.summary(name, files),
            ", ".join(names.parameters(name, files)) or None,
        )
        for name in names.distillers(files)
    )
    table = Table("Methods", ("Name", "In tables", "What it is", "Parameters"), rows)
    show(table, format, _next("explain logit", round_, root))


def models(
    round_: FilesOption = None, root: RootOption = HERE, format: FormatOption = Format.rich
) -> None:
    """List the networks a round may name, with their size and feature maps."""
    from stillhouse import models as networks

    files, rows = _files(round_, root), []
    for name in networks.names(files):
        network = networks.build(name, CLASSES, CHANNELS, files)
        shapes = networks.shapes(network, CHANNELS, SIZE)
        features = ", ".join(
            f"{layer} {'x'.join(map(str, shape))}" for layer, shape in shapes.features.items()
        )
        rows.append((name, sum(p.numel() for p in network.parameters()), features))
    note = f"Parameters and features: with {CLASSES} classes, for {SIZE} x {SIZE} colour images."
    table = Table("Models", ("Name", "Parameters", "Features"), tuple(rows), (note,))
    show(table, format, _next("datasets", round_, root))


def datasets(
    round_: FilesOption = None, root: RootOption = HERE, format: FormatOption = Format.rich
) -> None:
    """List the datasets a round may name."""
    from stillhouse import data

    files = _files(round_, root)
    specs = (data.spec(name, files) for name in data.names(files))
    rows = tuple(
        (s.name, s.label, s.classes, s.channels, s.size, s.train_images, s.test_images)
        for s in specs
    )
    columns = ("Name", "In tables", "Classes", "Channels", "Pixels", "Training", "Test")
    show(Table("Datasets", columns, rows), format, _next("data check", round_, root))


def _files(round_: str | None, root: Path) -> Files:
    from stillhouse.rounds.workspace import open_round

    return open_round(root, round_)[1].files if round_ else ()


def _next(command: str, round_: str | None, root: Path) -> str:
    return again("plan", round_, root) if round_ else f"stillhouse {command}"


def explain(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="One of `stillhouse methods`.")],
    round_: Annotated[
        str | None, typer.Option("--round", help="A round: its weights, networks and sweeps.")
    ] = None,
    root: RootOption = HERE,
    format: FormatOption = Format.rich,
) -> None:
    """Explain a method: formula, source, layers, weights, extra parameters, cost, hazards."""
    from stillhouse.config.load import check_parameters
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.explain import explain as make

    loaded = None
    if round_ is not None:
        _, loaded, file = open_round(root, round_)
        check_parameters(loaded, file)
    show(
        make(method, loaded),
        format,
        _next("methods", round_, root),
    )
