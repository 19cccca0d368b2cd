"""Training a round: `run`, `status`, and the hidden `train`, which is one worker."""

from __future__ import annotations

import os
import tempfile
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
    cuda_devices,
    workers,
    workers_per_gpu,
)
from stillhouse.cli.output import Format, follow, say, show
from stillhouse.errors import ConfigError, Notice

if TYPE_CHECKING:
    from collections.abc import Callable

    from stillhouse.config.schema import Round
    from stillhouse.rounds.survey import Cell, Survey
    from stillhouse.rounds.workspace import Workspace


def status(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    disk: Annotated[
        bool, typer.Option("--disk", help="Show what the workspace holds on disk, by kind.")
    ] = False,
    format: FormatOption = Format.rich,
) -> None:
    """Show the state of every run, and the reason of every failure.

    For a submitted round the states are joined with one listing of the queue.

    Example: stillhouse status rounds/digits.yaml --only method=rkd
    """
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.edited import disagreements
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import survey_round
    from stillhouse.show.cluster import Joined, copy_note, join
    from stillhouse.show.status import status_table

    workspace, loaded, _ = open_round(root, round_)
    if disk:
        return _disk(workspace, format, again("status", round_, root))
    store = Store(workspace.jobs)
    made, age = copy_note(store)
    survey = survey_round(workspace, loaded, only, made)
    noted = store.last_options()
    joined = join(store, noted, survey, bool(age)) if noted else Joined({}, [])
    finished = survey.trained or loaded.imported is not None
    following = "table" if finished else "cluster jobs" if noted else "run"
    if survey.trained and survey.count("at chance"):
        following = "doctor"
    differing = disagreements(workspace, survey, again("reset --changed", round_, root))
    notes = [*joined.notes, *([age] if age else []), *differing]
    short = format is Format.rich
    shown = status_table(survey, joined.words, notes, short)
    show(shown, format, again(following, round_, root))


def _disk(workspace: Workspace, format: Format, next_command: str) -> None:
    from stillhouse.runs.disk import free, held
    from stillhouse.show.disk import disk_table

    numbers = format.for_programs
    found = disk_table(held(workspace.root), free(workspace.root), numbers)
    show(found, format, next_command)


def run(
    round_: RoundArgument,
    root: RootOption = HERE,
    jobs: JobsOption = None,
    only: OnlyOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    keep_going: KeepGoingOption = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show at the end where the time of a step went.")
    ] = False,
) -> None:
    """Train what is missing of a round on this machine, teachers first.

    Example: stillhouse run rounds/digits.yaml --jobs 2

    Example: stillhouse run rounds/digits.yaml --only seed=0 --profile
    """
    from stillhouse import data
    from stillhouse.config.expand import expand
    from stillhouse.rounds.check import check_round, unfinished_datasets
    from stillhouse.rounds.edited import dropped_notes
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.local import worker_command
    from stillhouse.rounds.survey import select, survey_round
    from stillhouse.rounds.teacher_files import import_teachers
    from stillhouse.show.profile import profile_tables
    from stillhouse.show.status import summary

    workspace, loaded, file = open_round(root, round_)
    images = data.data_root(data_root)
    for note in dropped_notes(workspace, loaded):
        say(f"note: {note}", err=True)
    check_round(workspace, loaded, file, only, images)
    with workspace.activated(loaded, file):
        for dataset in unfinished_datasets(survey_round(workspace, loaded, only)):
            data.decode(dataset, images, loaded.files, say)
        runs = select(expand(loaded), only)
        import_teachers(workspace, runs, images, device, say=say)
        with tempfile.TemporaryDirectory(prefix="stillhouse-profile-") as scratch:
            profiles = Path(scratch) if profile else None
            jobs = workers(loaded, device, jobs)
            share = workers_per_gpu(jobs, device)
            start = worker_command(
                file, workspace.root, images, device, keep_going, profiles, share
            )
            survey = _train(workspace, loaded, only, start, device, jobs)
            tables = profile_tables(profiles) if profiles else []
    workspace.tidy(cell.folder for cell in survey.cells)
    for table in tables:
        say("")
        show(table, Format.rich)
    say(summary(survey, workspace.experiments))
    following = (
        "status" if not survey.trained else "doctor" if survey.count("at chance") else "table"
    )
    follow(again(following, round_, root))
    raise typer.Exit(0 if survey.trained else 1)


def _train(
    workspace: Workspace,
    round_: Round,
    only: str | None,
    command: Callable[[list[Cell]], list[str]],
    device: str,
    jobs: int,
) -> Survey:
    """Keep workers busy until nothing is left that can be trained; the last survey."""
    from rich.console import Console

    from stillhouse.rounds.local import Local, visible_gpus
    from stillhouse.rounds.survey import Watched
    from stillhouse.show.progress import Progress

    found, watched = cuda_devices(device), Watched(workspace, round_, only)

    def look() -> Survey:
        workspace.refuse_vanished()
        return watched.look()

    work, expected = _expected(look(), device, jobs)
    with Progress(Console(), work, expected=expected) as progress:
        local = Local(
            look=look,
            command=command,
            jobs=jobs,
            progress=progress,
            gpus=visible_gpus(device, found, os.environ),
        )
        return local.run()


def _expected(survey: Survey, device: str, jobs: int) -> tuple[dict[str, float], float | None]:
    """What each whole run (by path) costs, and the seconds until the round is trained.

    By the costs that `plan` shows: in seconds if all are known, else in passes of the pure student
    and for an unknown time.
    """
    from stillhouse.rounds.cost import passes, processes, recorded_costs, timed_costs
    from stillhouse.rounds.estimate import clock_seconds
    from stillhouse.rounds.timings import Timings

    costs = timed_costs(survey, device, recorded_costs(survey), Timings())
    if any(cell.path not in costs for cell in survey.cells):
        return passes(cell.config for cell in survey.cells), None
    whole = {c.path: c.config.training.epochs * costs[c.path].own for c in survey.cells}
    return whole, clock_seconds(processes(survey, costs, jobs), jobs)


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
    profile: Annotated[
        Path | None, typer.Option(hidden=True, help="Write where the time went to this file.")
    ] = None,
    share: Annotated[int, typer.Option(hidden=True, help="How many workers use the GPU.")] = 1,
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
    place = replace(place, keep=loaded.keep)
    complain = partial(say, err=True)
    raise typer.Exit(work(configs, place, parent, until, say, complain, profile, share))
