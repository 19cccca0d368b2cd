"""`stillhouse preflight`: can this round be trained on this machine?"""

from __future__ import annotations

from functools import partial
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


def preflight(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    format: Annotated[Format, typer.Option(help="How the table is written.")] = Format.rich,
) -> None:
    """Try two batches of every distinct cell here; exit code 1 if one cannot be trained."""
    from stillhouse import data
    from stillhouse.config.expand import expand
    from stillhouse.rounds.check import check_round
    from stillhouse.rounds.survey import select, survey
    from stillhouse.rounds.teacher_files import adopt_teachers
    from stillhouse.rounds.trial import rehearse
    from stillhouse.rounds.workspace import open_round
    from stillhouse.training.cohort import Place
    from stillhouse.training.precision import pick_device

    workspace, loaded, file = open_round(root, round_)
    images = data.data_root(data_root)
    check_round(workspace, loaded, file, only, images)
    complain = partial(say, err=True)
    adopt_teachers(workspace, select(expand(loaded), only), images, device, say=complain)
    teachers = workspace.teachers(loaded)
    place = Place(workspace.experiments, teachers, images, pick_device(device))
    seen = survey(workspace, loaded, only)
    table, able = rehearse(seen, workspace, place, say=complain)
    show(table, format, again("run" if able else "plan", round_, root))
    raise typer.Exit(0 if able else 1)
