"""`stillhouse verify RUN`: whether a run's first steps come out the same again."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.common import HERE, DataRootOption, DeviceOption, RootOption, again
from stillhouse.cli.output import Format, show
from stillhouse.tables import Table

SHOWN_DIGITS = 16


def verify(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's folder below experiments/.")],
    steps: Annotated[int, typer.Option(min=0, help="Train at most so many steps again.")] = 10,
    root: RootOption = HERE,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Train a run's first steps again in this process and compare the weights bit for bit."""
    from stillhouse import data
    from stillhouse.config.recorded import recorded
    from stillhouse.rounds.workspace import Workspace
    from stillhouse.training.cohort import Place
    from stillhouse.training.precision import pick_device
    from stillhouse.training.replay import verify as repeat

    workspace = Workspace(root)
    folder = workspace.run(run)
    config = recorded(folder)
    source = config.teacher.source if config and config.teacher else None
    teachers = workspace.teachers_of(source)
    place = Place(workspace.experiments, teachers, data.data_root(data_root), pick_device(device))
    found = repeat(folder, place, steps)
    rows = tuple(
        (what, then[:SHOWN_DIGITS], now[:SHOWN_DIGITS], "yes" if then == now else "NO")
        for what, then, now in found.checks
    )
    notes = tuple(
        f"differs from when it was trained: {field}: {was} -> {now}"
        for field, was, now in found.changed
    )
    same = all(then == now for _, then, now in found.checks)
    title = f"{run}: {'every bit is the same' if same else 'NOT the same'}"
    columns = ("SHA-256 (its start) of", "Recorded", "Now", "Same")
    active = workspace.active()
    show(
        Table(title, columns, rows, notes),
        format,
        again("table", active["round"], root) if active else "",
    )
    raise typer.Exit(0 if same else 1)
