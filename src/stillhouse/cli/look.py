"""Looking at a round: `plan`, `status`, `table`, `terms`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Annotated

import typer

from stillhouse.cli.common import (
    HERE,
    DataRootOption,
    DeviceOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import Format, say, show

FormatOption = Annotated[Format, typer.Option(help="How the table is written.")]


class Style(StrEnum):
    """What a table shows of every arm."""

    stats = "stats"
    seeds = "seeds"
    cost = "cost"


def plan(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    time: Annotated[
        bool, typer.Option("--time", help="Time a step of each network here: cost in hours.")
    ] = False,
    device: DeviceOption = "auto",
    format: FormatOption = Format.rich,
) -> None:
    """Show a round's matrix: what is done, what waits for which teacher, cost and power."""
    from stillhouse.config.load import check_parameters
    from stillhouse.rounds.cost import recorded_seconds, timed_seconds
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.plan import plan as make_plan
    from stillhouse.show.plan import plan_numbers
    from stillhouse.show.power import plan_notes

    workspace, loaded, file = open_round(root, round_)
    check_parameters(loaded, file)
    seen = survey(workspace, loaded, only)
    seconds = timed_seconds(seen, device) if time else recorded_seconds(seen)
    next_command = again("status" if loaded.imported else "run", round_, root)
    if format in (Format.csv, Format.json):
        show(plan_numbers(seen, seconds), format, next_command)
        return
    *tables, last = make_plan(seen, seconds, again("plan", round_, root))
    for table in tables:
        show(table, format)
    *notes, summary = last.notes
    show(replace(last, notes=(*notes, *plan_notes(seen), summary)), format, next_command)


def status(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    format: FormatOption = Format.rich,
) -> None:
    """Show the state of every run, and the reason of every failure.

    For a submitted round the states are joined with one listing of the queue.
    """
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.cluster import Joined, copy_note, join
    from stillhouse.show.status import status_table

    workspace, loaded, _ = open_round(root, round_)
    store = Store(workspace.experiments / "jobs")
    made, age = copy_note(store)
    seen = survey(workspace, loaded, only, made)
    noted = store.noted()
    joined = join(store, noted, seen, bool(age)) if noted else Joined({}, [])
    finished = seen.trained or loaded.imported is not None
    following = "table" if finished else "jobs" if noted else "run"
    if seen.trained and seen.count("unsound"):
        following = "doctor"
    notes = [*joined.notes, *([age] if age else [])]
    show(status_table(seen, joined.words, notes), format, again(following, round_, root))


def table(
    round_: RoundArgument,
    root: RootOption = HERE,
    style: Annotated[
        Style,
        typer.Option(help="stats: differences to pure; seeds: every seed; cost: extra cost alone."),
    ] = Style.stats,
    accuracy: Annotated[
        str | None, typer.Option(help="final (default) or best: which epoch's accuracy.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="A round whose published results stand beside.")
    ] = None,
    margin: Annotated[
        float, typer.Option(min=0, max=100, help="Points within which a difference counts as none.")
    ] = 0.2,
    format: FormatOption = Format.rich,
) -> None:
    """Show test accuracies: differences to pure with intervals, a verdict, and the extra cost."""
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.cluster import copy_note
    from stillhouse.show.results import against_tables, join, seed_tables, which_epoch
    from stillhouse.show.table import statistics_numbers, statistics_table
    from stillhouse.stats.cost import cost_table
    from stillhouse.stats.frame import frame

    workspace, loaded, file = open_round(root, round_)
    made, age = copy_note(Store(workspace.experiments / "jobs"))
    seen = survey(workspace, loaded, now=made)
    data = format in (Format.csv, Format.json)
    pretrained = workspace.experiments / "pretrained"
    costs = [cost_table(seen, dataset, pretrained, data) for dataset in loaded.datasets]
    if style is Style.cost:
        tables = costs
    elif against:
        tables = against_tables(seen, against, file.parent, accuracy, data)
    elif style is Style.seeds:
        tables = seed_tables(seen, accuracy or "final", data)
    else:
        which = which_epoch(accuracy or "final")
        frames = [frame(seen, dataset, which, margin) for dataset in loaded.datasets]
        write = statistics_numbers if data else statistics_table
        tables = [write(seen, one) for one in frames]
    if data:
        tables = [join(tables, loaded.datasets)]
    elif style is not Style.cost and not against:
        pairs = zip(tables, costs, strict=True)
        tables = [one for pair in pairs for one in pair if one is pair[0] or one.rows]
    for one in tables[:-1]:
        show(one, format)
    last = replace(tables[-1], notes=(*tables[-1].notes, *([age] if age else [])))
    show(last, format, again("status", round_, root))


def terms(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    fit_epochs: Annotated[
        int | None,
        typer.Option(min=1, help="For modules fitted to a pure student (default: the run's)."),
    ] = None,
    format: FormatOption = Format.rich,
) -> None:
    """Check that each method did what it claims: its own loss, of its student and of a pure one.

    What is measured, and how far it is, is printed to stderr.
    """
    from functools import partial

    from stillhouse import data
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.own_loss import terms_table

    workspace, loaded, _ = open_round(root, round_)
    place = (workspace.experiments, workspace.teachers(loaded), data.data_root(data_root), device)
    log = partial(say, err=True)
    found, kept = terms_table(survey(workspace, loaded, only), *place, fit_epochs, log)
    show(found, format, again("table", round_, root))
    raise typer.Exit(0 if kept else 1)
