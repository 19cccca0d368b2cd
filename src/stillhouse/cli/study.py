"""Training a round: `plan`, `run`, `status`, and the hidden `train`, which is one worker."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    DataRootOption,
    DeviceOption,
    FormatOption,
    JobsOption,
    KeepGoingOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import Format, follow, say, show
from stillhouse.errors import ConfigError, Notice

if TYPE_CHECKING:
    from stillhouse.rounds.survey import Survey
    from stillhouse.show.power import Design

POWER = "Number of seeds (with --power)"
DifferenceOption = Annotated[
    float, typer.Option(min=0.01, max=100, help="The difference in points.", rich_help_panel=POWER)
]
SdOption = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=100,
        help="Standard deviation in points instead of a round's: of one arm, or of the pairs.",
        rich_help_panel=POWER,
    ),
]
PairedOption = Annotated[
    bool,
    typer.Option("--paired", help="--sd is that of the paired differences.", rich_help_panel=POWER),
]


def plan(
    round_: Annotated[
        str,
        typer.Argument(
            metavar="ROUND",
            help="A round file, the name of a round in the workspace, or a folder that holds a "
            "round. None with --new, or --power --sd.",
        ),
    ] = "",
    root: RootOption = HERE,
    only: OnlyOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    new: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Write a first round file NAME.yaml, which can be run."),
    ] = None,
    try_: Annotated[
        bool, typer.Option("--try", help="Train two batches of every distinct cell here.")
    ] = False,
    time: Annotated[
        bool, typer.Option("--time", help="Time a training step of every network and method here.")
    ] = False,
    power: Annotated[
        bool, typer.Option("--power", help="Show how many seeds a difference needs.")
    ] = False,
    difference: DifferenceOption = 0.5,
    sd: SdOption = None,
    paired: PairedOption = False,
    format: FormatOption = Format.rich,
) -> None:
    """Show a round's matrix: what is done, what waits for which teacher, cost and power.

    With --try the exit code is 1 if a cell cannot be trained on this machine.

    Example: stillhouse plan --new mine

    Example: stillhouse plan rounds/digits.yaml
    """
    if sum((new is not None, try_, time, power)) > 1:
        raise ConfigError("choose one of --new, --try, --time and --power")
    if new is not None:
        _plan_new(new, round_)
    elif power:
        _plan_power(round_, root, only, (difference, sd, paired), format)
    elif not round_:
        raise ConfigError("Missing argument 'ROUND'", "as in: stillhouse plan rounds/digits.yaml")
    elif try_:
        _plan_try(round_, root, only, data_root, device, format)
    else:
        _plan(round_, root, only, device, format, time)


def _plan(
    round_: str, root: Path, only: str | None, device: str, format: Format, timed: bool
) -> None:
    from stillhouse.config.load import check_parameters
    from stillhouse.rounds.cost import recorded_seconds, timed_seconds
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import survey
    from stillhouse.show.plan import plan as make_plan
    from stillhouse.show.plan import plan_numbers
    from stillhouse.show.power import plan_notes

    workspace, loaded, file = open_round(root, round_)
    check_parameters(loaded, file)
    seen = survey(workspace, loaded, only)
    seconds = timed_seconds(seen, device) if timed else recorded_seconds(seen)
    following = "status" if loaded.imported else "table" if seen.trained else "run"
    next_command = again(following, round_, root)
    if format in (Format.csv, Format.json):
        show(plan_numbers(seen, seconds), format, next_command)
        return
    *tables, last = make_plan(seen, seconds, again("plan", round_, root))
    *notes, summary = last.notes
    last = replace(last, notes=(*notes, *plan_notes(seen), summary))
    show([*tables, last], format, next_command)


def _plan_new(name: str, round_: str) -> None:
    from stillhouse.rounds.new import new_round

    if round_:
        raise ConfigError(
            f"--new writes a first round file and takes no ROUND, given {round_}",
            f"to copy a round: stillhouse reset {round_} --as {name}",
        )
    file = new_round(name)
    say(f"{file} can be run as it stands; its comments say what to change")
    follow(again("plan", str(file), HERE))


def _plan_try(
    round_: str, root: Path, only: str | None, data_root: Path | None, device: str, format: Format
) -> None:
    from stillhouse import data
    from stillhouse.config.expand import expand
    from stillhouse.rounds.check import check_round
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import select, survey
    from stillhouse.rounds.teacher_files import import_teachers
    from stillhouse.rounds.trial import rehearse

    workspace, loaded, file = open_round(root, round_)
    images = data.data_root(data_root)
    check_round(workspace, loaded, file, only, images)
    complain = partial(say, err=True)
    import_teachers(workspace, select(expand(loaded), only), images, device, say=complain)
    place = workspace.place(loaded.teachers_from, images, device)
    seen = survey(workspace, loaded, only)
    table, able = rehearse(seen, workspace, place, say=complain)
    show(table, format, again("run" if able else "plan", round_, root))
    raise typer.Exit(0 if able else 1)


def _plan_power(
    round_: str,
    root: Path,
    only: str | None,
    asked: tuple[float, float | None, bool],
    format: Format,
) -> None:
    from stillhouse.show.power import Design, power_records, power_table

    difference, sd, paired = asked
    if (sd is None) == (not round_):
        raise ConfigError(
            "give a round whose spread is used, or --sd", "as in: stillhouse plan --power --sd 0.3"
        )
    if sd is not None:
        found = [Design("planned", sd, "paired" if paired else "welch", 1, "given")]
    else:
        found = _designs(round_, root, only)
    tables = [power_table(one, difference) for one in found]
    if format in (Format.csv, Format.json):
        tables = [power_records(found, difference)]
    for one in tables[:-1]:
        show(one, format)
    show(tables[-1], format, again("plan", round_ or "ROUND", root))


def _designs(name: str, root: Path, only: str | None) -> list[Design]:
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import part, survey
    from stillhouse.show.power import designs

    workspace, loaded, _ = open_round(root, name)
    found = designs(part(survey(workspace, loaded), only))
    if not found:
        raise ConfigError(
            f"round '{loaded.round}' shows no spread yet: it takes three completed and valid seeds "
            "of a method, which differ from the pure student's by more than one test image",
            "assume one: stillhouse plan --power --sd 0.3",
        )
    return found


def status(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    format: FormatOption = Format.rich,
) -> None:
    """Show the state of every run, and the reason of every failure.

    For a submitted round the states are joined with one listing of the queue.

    Example: stillhouse status rounds/digits.yaml --only method=rkd
    """
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import survey
    from stillhouse.show.cluster import Joined, copy_note, join
    from stillhouse.show.status import status_table

    workspace, loaded, _ = open_round(root, round_)
    store = Store(workspace.jobs)
    made, age = copy_note(store)
    seen = survey(workspace, loaded, only, made)
    noted = store.noted()
    joined = join(store, noted, seen, bool(age)) if noted else Joined({}, [])
    finished = seen.trained or loaded.imported is not None
    following = "table" if finished else "cluster jobs" if noted else "run"
    if seen.trained and seen.count("unsound"):
        following = "doctor"
    notes = [*joined.notes, *([age] if age else [])]
    show(status_table(seen, joined.words, notes), format, again(following, round_, root))


def run(
    round_: RoundArgument,
    root: RootOption = HERE,
    jobs: JobsOption = None,
    only: OnlyOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    keep_going: KeepGoingOption = False,
) -> None:
    """Train what is missing of a round on this machine, teachers first.

    Example: stillhouse run rounds/digits.yaml --jobs 2
    """
    from rich.console import Console

    from stillhouse import data
    from stillhouse.config.expand import expand
    from stillhouse.rounds.check import check_round, unfinished_datasets
    from stillhouse.rounds.cost import passes
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.local import Local, visible_gpus, worker_command
    from stillhouse.rounds.survey import Known, select, survey
    from stillhouse.rounds.teacher_files import import_teachers
    from stillhouse.show.progress import Progress
    from stillhouse.show.status import summary

    workspace, loaded, file = open_round(root, round_)
    images = data.data_root(data_root)
    check_round(workspace, loaded, file, only, images)
    workspace.activate(loaded, file)
    runs = select(expand(loaded), only)
    for dataset in unfinished_datasets(survey(workspace, loaded, only)):
        data.decode(dataset, images, loaded.files, say)
    import_teachers(workspace, runs, images, device, say=say)
    found = _cuda_devices(device)

    known: Known = {}

    def look() -> Survey:
        workspace.refuse_vanished()
        return survey(workspace, loaded, only, known=known)

    with Progress(Console(), passes(runs)) as progress:
        local = Local(
            look=look,
            command=worker_command(file, workspace.root, images, device, keep_going),
            jobs=jobs or found or max(1, (os.cpu_count() or 1) // loaded.training.threads),
            progress=progress,
            gpus=visible_gpus(device, found, os.environ),
        )
        seen = local.run()
    workspace.tidy(cell.folder for cell in seen.cells)
    say(summary(seen, workspace.experiments))
    following = "status" if not seen.trained else "doctor" if seen.count("unsound") else "table"
    follow(again(following, round_, root))
    raise typer.Exit(0 if seen.trained else 1)


def train(
    round_: RoundArgument,
    runs: Annotated[
        list[str] | None, typer.Argument(help="Run folders below experiments/.")
    ] = None,
    root: RootOption = HERE,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    keep_going: KeepGoingOption = False,
    identity: Annotated[
        str | None, typer.Option(hidden=True, help="Refuse runs whose settings have another hash.")
    ] = None,
    parent: Annotated[
        int | None, typer.Option(hidden=True, help="Stop when this process is gone.")
    ] = None,
    until: Annotated[
        float | None,
        typer.Option(hidden=True, help="Stop, to be resumed, at this time (seconds since 1970)."),
    ] = None,
) -> None:
    """Train some runs of a round as one cohort, in this process."""
    from stillhouse.config.expand import expand
    from stillhouse.config.identity import identity_of_all
    from stillhouse.config.resolve import resolve
    from stillhouse.errors import unknown_name
    from stillhouse.rounds.check import refuse_legacy
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.schedule import shared
    from stillhouse.training.worker import work

    if not runs:
        raise ConfigError(
            "train is one worker of `run`", f"a whole round: {again('run', round_, root)}"
        )
    warnings.simplefilter("ignore", Notice)  # the command that started this one has printed them
    workspace, loaded, file = open_round(root, round_)
    refuse_legacy(loaded)
    matrix = {one.path: one for one in expand(loaded)}
    for path in runs:
        if path not in matrix:
            raise unknown_name("run", path, matrix)
    chosen = [matrix[path] for path in runs]
    if identity and identity_of_all(chosen) != identity:
        raise ConfigError(
            f"{file}, or a file it names, was changed since these runs were to be trained",
            "restore it, or repeat the command that started this one",
        )
    configs = [resolve(one) for one in chosen]
    taught_by = {one.teacher for one in configs if one.teacher}
    if len({shared(one) for one in configs}) > 1 or len(taught_by) > 1:
        raise ConfigError("these runs do not share dataset, seed, recipe and teacher")
    place = workspace.place(loaded.teachers_from, data_root, device, keep_going)
    complain = partial(say, err=True)
    raise typer.Exit(work(configs, place, parent, until, log=say, on_error=complain))


def _cuda_devices(device: str) -> int:
    """How many GPUs a device option gives to workers; 0 on a CPU."""
    if device.partition(":")[0] not in ("auto", "cuda"):
        return 0
    import torch

    return min(1, torch.cuda.device_count()) if ":" in device else torch.cuda.device_count()
