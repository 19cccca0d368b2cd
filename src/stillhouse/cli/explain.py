"""What there is: `methods`, `models`, `datasets`; and `explain METHOD`."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.common import HERE, RootOption, again
from stillhouse.cli.output import Format, show
from stillhouse.tables import Table

FormatOption = Annotated[Format, typer.Option(help="How the table is written.")]
CLASSES, CHANNELS, SIZE = 100, 3, 32


def methods(format: FormatOption = Format.rich) -> None:
    """List the methods a round may name, with the parameters of each."""
    from stillhouse.config import names

    rows = tuple(
        (name, names.label(name), names.summary(name), ", ".join(names.parameters(name)) or None)
        for name in names.distillers()
    )
    table = Table("Methods", ("Name", "In tables", "What it is", "Parameters"), rows)
    show(table, format, "stillhouse explain logit")


def models(format: FormatOption = Format.rich) -> None:
    """List the networks a round may name, with their size and feature maps."""
    from stillhouse import models as networks

    rows = []
    for name in networks.names():
        network = networks.build(name, CLASSES, CHANNELS)
        shapes = networks.shapes(network, CHANNELS, SIZE)
        features = ", ".join(
            f"{layer} {'x'.join(map(str, shape))}" for layer, shape in shapes.features.items()
        )
        rows.append((name, sum(p.numel() for p in network.parameters()), features))
    note = f"Parameters and features: with {CLASSES} classes, for {SIZE} x {SIZE} colour images."
    table = Table("Models", ("Name", "Parameters", "Features"), tuple(rows), (note,))
    show(table, format, "stillhouse datasets")


def datasets(format: FormatOption = Format.rich) -> None:
    """List the datasets a round may name."""
    from stillhouse import data

    specs = map(data.spec, data.names())
    rows = tuple(
        (s.name, s.label, s.classes, s.channels, s.size, s.train_images, s.test_images)
        for s in specs
    )
    columns = ("Name", "In tables", "Classes", "Channels", "Pixels", "Training", "Test")
    show(Table("Datasets", columns, rows), format, "stillhouse data check")


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
    from stillhouse.rounds.explain import explain as make
    from stillhouse.rounds.workspace import open_round

    loaded = None
    if round_ is not None:
        _, loaded, file = open_round(root, round_)
        check_parameters(loaded, file)
    show(
        make(method, loaded),
        format,
        again("plan", round_, root) if round_ else "stillhouse methods",
    )
