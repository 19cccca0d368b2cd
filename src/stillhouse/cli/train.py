"""Training: `run` for a whole round, `train` for some of its runs in this process."""

from __future__ import annotations

import os
import warnings
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.common import (
    HERE,
    DataRootOption,
    DeviceOption,
    KeepGoingOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import say
from stillhouse.errors import ConfigError, Notice

if TYPE_CHECKING:
    from stillhouse.rounds.survey import Survey


def run(
    round_: RoundArgument,
    root: RootOption = HERE,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Workers (default: one per GPU, or per core).")
    ] = None,
    only: OnlyOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    keep_going: KeepGoingOption = False,
) -> None:
    """Train what is missing of a round on this machine, teachers first."""
    from rich.console import Console

    from stillhouse import data
    from stillhouse.config.expand import expand
    from stillhouse.rounds.check import check_round, unfinished_datasets
    from stillhouse.rounds.local import Local, visible_gpus, worker_command
    from stillhouse.rounds.survey import select, survey
    from stillhouse.rounds.teacher_files import adopt_teachers
    from stillhouse.rounds.workspace import open_round
    from stillhouse.show.progress import Progress
    from stillhouse.show.status import summary

    workspace, loaded, file = open_round(root, round_)
    images = data.data_root(data_root)
    check_round(workspace, loaded, file, only, images)
    workspace.activate(loaded, file)
    runs = select(expand(loaded), only)
    for dataset in unfinished_datasets(survey(workspace, loaded, only)):
        data.decode(dataset, images, loaded.files, say)
    adopt_teachers(workspace, runs, images, device, say=say)
    found = _cuda_devices(device)

    def look() -> Survey:
        workspace.refuse_vanished()
        return survey(workspace, loaded, only)

    with Progress(Console()) as progress:
        local = Local(
            look=look,
            command=worker_command(file, root, images, device, keep_going),
            jobs=jobs or found or max(1, (os.cpu_count() or 1) // loaded.training.threads),
            progress=progress,
            gpus=visible_gpus(device, found, os.environ),
        )
        seen = local.run()
    workspace.tidy(cell.folder for cell in seen.cells)
    say(summary(seen, workspace.experiments))
    following = "status" if not seen.trained else "doctor" if seen.count("unsound") else "table"
    say(f"next: {again(following, round_, root)}")
    raise typer.Exit(0 if seen.trained else 1)


def train(
    round_: RoundArgument,
    runs: Annotated[list[str], typer.Argument(help="Run folders below experiments/.")],
    root: RootOption = HERE,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    keep_going: KeepGoingOption = False,
    identity: Annotated[
        str | None, typer.Option(help="Refuse if the runs have other settings than this hash's.")
    ] = None,
    parent: Annotated[int | None, typer.Option(help="Stop when this process is gone.")] = None,
    until: Annotated[
        float | None, typer.Option(help="Stop, to be resumed, at this time (seconds since 1970).")
    ] = None,
) -> None:
    """Train some runs of a round as one cohort, in this process."""
    from stillhouse import data
    from stillhouse.config.expand import expand
    from stillhouse.config.identity import identity_of_all
    from stillhouse.config.resolve import resolve
    from stillhouse.errors import unknown_name
    from stillhouse.rounds.check import refuse_legacy
    from stillhouse.rounds.schedule import shared
    from stillhouse.rounds.workspace import open_round
    from stillhouse.training.cohort import Place
    from stillhouse.training.precision import pick_device
    from stillhouse.training.worker import work

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
    place = Place(
        workspace.experiments,
        workspace.teachers(loaded),
        data.data_root(data_root),
        pick_device(device),
        keep_going,
    )
    complain = partial(say, err=True)
    raise typer.Exit(work(configs, place, parent, until, say=say, complain=complain))


def _cuda_devices(device: str) -> int:
    """How many GPUs a device option gives to workers; 0 on a CPU."""
    if device.partition(":")[0] not in ("auto", "cuda"):
        return 0
    import torch

    return min(1, torch.cuda.device_count()) if ":" in device else torch.cuda.device_count()
