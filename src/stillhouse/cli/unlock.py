"""`stillhouse unlock`: the claims of machines that are gone for good."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.common import HERE, RootOption, again
from stillhouse.cli.look import FormatOption
from stillhouse.cli.output import Format, show


def unlock(
    target: Annotated[
        str,
        typer.Argument(metavar="RUN|ROUND", help="A run's folder below experiments/, or a round."),
    ],
    root: RootOption = HERE,
    format: FormatOption = Format.rich,
) -> None:
    """Release the runs held by a machine that is gone for good, so that others may go on.

    Without it, they wait until its heartbeat is five minutes old.
    """
    from stillhouse.config.renamed import folder_of
    from stillhouse.rounds.survey import survey
    from stillhouse.rounds.unlock import refused
    from stillhouse.rounds.unlock import unlock as release
    from stillhouse.rounds.workspace import Workspace, open_round

    workspace = Workspace(root)
    run = folder_of(workspace.experiments, target)
    if run.attempts():
        table, active = release([run], f"run {target}"), workspace.active()
        name = active["round"] if active else "ROUND"
    else:
        workspace, loaded, _ = open_round(root, target)
        folders = [cell.folder for cell in survey(workspace, loaded).cells]
        table, name = release(folders, f"round {loaded.round}"), target
    show(table, format, again("run", name, root))
    raise typer.Exit(1 if refused(table) else 0)
