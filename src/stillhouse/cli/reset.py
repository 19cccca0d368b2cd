"""`stillhouse reset`: the way on after a failure."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    DryRunOption,
    FormatOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import Format, say, show
from stillhouse.errors import ConfigError, RunError

if TYPE_CHECKING:
    from stillhouse.config.schema import Round
    from stillhouse.rounds.reset import Heap
    from stillhouse.rounds.survey import Cell, Survey
    from stillhouse.rounds.workspace import Workspace

SHOWN = 10


def reset(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    changed: Annotated[
        bool, typer.Option("--changed", help="Runs whose settings in the round file were changed.")
    ] = False,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put the last reset's runs back.")] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="List what was moved aside, with sizes.")
    ] = False,
    purge: Annotated[
        bool, typer.Option("--purge", help="Delete what was moved aside, for good.")
    ] = False,
    as_: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Leave the runs; copy the round file instead."),
    ] = None,
    unlock: Annotated[
        bool,
        typer.Option(
            "--unlock", help="Release the runs (of a ROUND, or a RUN) that a lost machine holds."
        ),
    ] = False,
    format: FormatOption = Format.rich,
) -> None:
    """Move failed and invalid runs aside, so that `run` trains them anew.

    They lie in experiments/.trash until --purge; --undo puts the last ones back. With --only or
    --changed other runs are moved. With --as NAME a new round file is written beside the old one,
    which takes its teachers from this workspace. With --unlock no run is moved: those held by a
    machine that is gone for good are released, which else wait until its heartbeat is five minutes
    old; the exit code is 1 if one is held by a process that lives on this machine.

    Example: stillhouse reset rounds/digits.yaml --only method=nst --yes
    """
    from stillhouse.rounds.find import open_round

    if sum(map(bool, (undo, list_, purge, as_, dry_run, unlock))) > 1:
        raise ConfigError("choose one of --undo, --list, --purge, --as, --unlock and --dry-run")
    if unlock:
        _unlock(round_, root, only, format)
        return
    workspace, loaded, file = open_round(root, round_)
    if as_:
        new = _copy(workspace, loaded, file, as_)
        say(f"{new} takes its teachers from {workspace.root}; change its settings there")
        say(f"next: {again('plan', str(new), Path('WORKSPACE'))}")
    elif undo or list_ or purge:
        _past(workspace, undo, purge, yes, format)
        say(f"next: {again('status', round_, root)}", err=format not in (Format.rich,))
    else:
        _reset(workspace, loaded, only, changed, dry_run, yes, format)
        say(f"next: {again('run', round_, root)}", err=format not in (Format.rich,))


def _reset(
    workspace: Workspace,
    round_: Round,
    only: str | None,
    changed: bool,
    dry_run: bool,
    yes: bool,
    format: Format,
) -> None:
    from stillhouse.config.expand import expand
    from stillhouse.rounds.reset import changed_runs, move_aside, to_reset
    from stillhouse.rounds.survey import choose, survey

    workspace.refuse_second(round_)
    seen = survey(workspace, round_)
    named = {run.path for run in choose(expand(round_), only)} if only else None
    if changed:
        differ = {cell.config.path for cell, _ in changed_runs(seen.cells)}
        named = differ if named is None else named & differ
    cells = to_reset(seen, named)
    if not cells:
        kind = "selected" if only or changed else "failed or invalid"
        say(f"nothing to reset: no {kind} run has begun", err=format is not Format.rich)
        return
    _show(cells, seen, round_, format)
    if dry_run:
        return
    _ask(f"Move {len(cells)} runs aside?", yes)
    heap = move_aside(workspace, round_.round, cells)
    say(
        f"{len(cells)} runs moved to {heap.path}; --undo puts them back",
        err=format is not Format.rich,
    )


def _show(cells: list[Cell], seen: Survey, round_: Round, format: Format) -> None:
    from stillhouse.rounds.reset import dependents
    from stillhouse.tables import Table

    rows = tuple((c.config.path, c.shown, c.unsound or c.state.reason or None) for c in cells)
    notes = []
    for teacher, students in dependents(cells, seen).items():
        more = f" and {len(students) - SHOWN} more" if len(students) > SHOWN else ""
        notes.append(
            f"{teacher} taught {len(students)} runs that stay as they are: "
            f"{', '.join(students[:SHOWN])}{more}"
        )
    title = f"round {round_.round}: {len(cells)} runs to train anew"
    show(Table(title, ("Run", "State", "Reason"), rows, tuple(notes)), format)


def _unlock(target: str, root: Path, only: str | None, format: Format) -> None:
    from stillhouse.config.renamed import folder_of
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import choose_cells, survey
    from stillhouse.rounds.unlock import refused, unlock
    from stillhouse.rounds.workspace import Workspace

    workspace = Workspace(root)
    run = folder_of(workspace.experiments, target)
    if run.attempts():
        table, active = unlock([run], f"run {target}"), workspace.active()
        name = active["round"] if active else "ROUND"
    else:
        workspace, loaded, _ = open_round(root, target)
        folders = [cell.folder for cell in choose_cells(survey(workspace, loaded), only)]
        table, name = unlock(folders, f"round {loaded.round}"), target
    show(table, format, again("run", name, root))
    raise typer.Exit(1 if refused(table) else 0)


def _past(workspace: Workspace, undo: bool, purge_: bool, yes: bool, format: Format) -> None:
    from stillhouse.rounds.reset import heaps, move_back, purge
    from stillhouse.tables import Table

    found: list[Heap] = heaps(workspace)
    if not found:
        say("nothing has been moved aside", err=format is not Format.rich)
    elif undo:
        runs = move_back(workspace, found[-1])
        say(f"{len(runs)} runs put back: {', '.join(runs[:SHOWN])}")
    else:
        rows = tuple((heap.path.name, len(heap.runs), f"{heap.bytes / 1e6:.1f}") for heap in found)
        title = f"moved aside in {workspace.experiments}"
        show(Table(title, ("Reset at", "Runs", "MB"), rows), format)
        if purge_:
            _ask(f"Delete {sum(len(heap.runs) for heap in found)} runs for good?", yes)
            purge(found)
            say("deleted", err=format is not Format.rich)


def _ask(question: str, yes: bool) -> None:
    """Go on if the user agrees. Raises ConfigError without a terminal to ask on."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("there is no terminal to ask on", "add --yes if you are sure")
    if not typer.confirm(question):
        raise typer.Exit(1)


def _copy(workspace: Workspace, round_: Round, file: Path, name: str) -> Path:
    from stillhouse.rounds.reset import copy_of_round

    new = file.with_name(f"{name}{file.suffix}")
    if new.exists():
        raise RunError(f"{new} exists", "choose another name")
    if round_.teachers_from:
        raise ConfigError(
            f"round '{round_.round}' has its teachers from '{round_.teachers_from}'",
            "copy its file by hand and keep that line",
        )
    teachers = os.path.relpath(workspace.root.resolve(), file.parent.resolve())
    new.write_text(copy_of_round(file.read_text("utf-8"), round_.round, name, teachers), "utf-8")
    return new
