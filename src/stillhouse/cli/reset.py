"""`stillhouse reset`: the way on after a failure."""

from __future__ import annotations

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
    TargetArgument,
    again,
)
from stillhouse.cli.output import Format, follow, say, show
from stillhouse.errors import ConfigError, RunError

if TYPE_CHECKING:
    from stillhouse.config.schema import Round
    from stillhouse.rounds.survey import Cell, Survey
    from stillhouse.rounds.workspace import Workspace

ChangedOption = Annotated[
    bool, typer.Option("--changed", help="Runs whose settings in the round file were changed.")
]
ListOption = Annotated[bool, typer.Option("--list", help="List what was moved aside, with sizes.")]
PurgeOption = Annotated[
    bool, typer.Option("--purge", help="Delete what was moved aside, for good.")
]
AsOption = Annotated[
    str | None,
    typer.Option("--as", metavar="NAME", help="Leave the runs; copy the round file instead."),
]
UnlockOption = Annotated[
    bool, typer.Option("--unlock", help="Release the runs that a lost machine holds.")
]


def reset(
    target: TargetArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    changed: ChangedOption = False,
    dry_run: DryRunOption = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="Put the last reset's runs back.")] = False,
    list_: ListOption = False,
    purge: PurgeOption = False,
    as_: AsOption = None,
    unlock: UnlockOption = False,
    format: FormatOption = Format.rich,
) -> None:
    """Move failed and invalid runs aside, so that `run` trains them anew.

    They lie in experiments/.trash until --purge; --undo puts the last ones back. With a RUN,
    --only or --changed other runs are moved. With --as NAME a new round file is written beside
    the old one: it takes the teachers trained here from this workspace and keeps given ones. With
    --unlock no run is moved: those held by a machine that is gone for good are released, which else
    wait until its heartbeat is five minutes old; the exit code is 1 if one is held by a process
    that lives on this machine.

    Example: stillhouse reset rounds/digits.yaml --only method=nst --yes
    """
    from stillhouse.rounds.find import open_target
    from stillhouse.show.reset import reset_table

    if sum(map(bool, (undo, list_, purge, as_, dry_run, unlock))) > 1:
        raise ConfigError("choose one of --undo, --list, --purge, --as, --unlock and --dry-run")
    if unlock:
        _unlock(target, root, only, format)
        return
    workspace, loaded, file, run = open_target(root, target, named=False)
    round_ = loaded.round if run else target
    if as_:
        new, teachers = _copy(workspace, loaded, file, as_)
        say(f"{new} {teachers}; change its settings there")
        follow(again("plan", str(new), root / new.stem))
    elif undo or list_ or purge:
        _past(workspace, loaded, (undo, purge, yes), format)
        follow(again("status", round_, root), format)
    else:
        found = _chosen(workspace, loaded, run, only, changed)
        show(reset_table(*found), format)
        if found[0] and not dry_run:
            _move(workspace, loaded, found[0], yes)
        follow(again("run", round_, root), format)


def _chosen(
    workspace: Workspace, round_: Round, run: str | None, only: str | None, changed: bool
) -> tuple[list[Cell], Survey, str]:
    """The runs to move aside, the survey they are of, and which were looked for."""
    from stillhouse.config.expand import expand
    from stillhouse.rounds.edited import changed_runs
    from stillhouse.rounds.reset import one_to_reset, to_reset
    from stillhouse.rounds.survey import choose, survey_round

    workspace.refuse_archived()
    workspace.refuse_second(round_)
    survey = survey_round(workspace, round_)
    if run:
        return one_to_reset(workspace, survey, run), survey, "such"
    named = {run.path for run in choose(expand(round_), only)} if only else None
    if changed:
        differ = {cell.config.path for cell, _ in changed_runs(survey.cells, exact=True)}
        named = differ if named is None else named & differ
    return to_reset(survey, named), survey, "selected" if only or changed else "failed or invalid"


def _move(workspace: Workspace, round_: Round, cells: list[Cell], yes: bool) -> None:
    from stillhouse.rounds.reset import move_aside

    _ask(f"Move {len(cells)} runs aside?", yes)
    heap = move_aside(workspace, round_.round, cells)
    say(f"{len(cells)} runs moved to {heap.path}; --undo puts them back", err=True)


def _unlock(target: str, root: Path, only: str | None, format: Format) -> None:
    from stillhouse.config.renamed import folder_of
    from stillhouse.rounds.find import open_survey
    from stillhouse.rounds.survey import choose_cells
    from stillhouse.rounds.unlock import refused, unlock
    from stillhouse.rounds.workspace import Workspace

    workspace = Workspace(root)
    run = folder_of(workspace.experiments, target)
    if run.attempts():
        table, active = unlock([run], f"run {target}"), workspace.active()
        name = active["round"] if active else "ROUND"
    else:
        _, survey, _ = open_survey(root, target)
        folders = [cell.folder for cell in choose_cells(survey, only)]
        table, name = unlock(folders, f"round {survey.round.round}"), target
    show(table, format, again("run", name, root))
    raise typer.Exit(1 if refused(table) else 0)


def _past(
    workspace: Workspace, round_: Round, what: tuple[bool, bool, bool], format: Format
) -> None:
    """Show what earlier resets of the round moved aside; put the last back, or delete all."""
    from stillhouse.rounds.reset import heaps, move_back, purge
    from stillhouse.show.reset import heaps_table

    undo, delete, yes = what
    found = [heap for heap in heaps(workspace) if heap.record["round"] == round_.round]
    shown = found[-1:] if undo else found
    show(heaps_table(shown), format)
    if undo and found:
        say(f"put back: {', '.join(move_back(workspace, found[-1]))}", err=True)
    elif delete and found:
        _ask(f"Delete {sum(len(heap.runs) for heap in found)} runs for good?", yes)
        purge(found)
        say("deleted", err=True)


def _ask(question: str, yes: bool) -> None:
    """Go on if the user agrees. Raises ConfigError without a terminal to ask on."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("there is no terminal to ask on", "add --yes if you are sure")
    if not typer.confirm(question):
        raise typer.Exit(1)


def _copy(workspace: Workspace, round_: Round, file: Path, name: str) -> tuple[Path, str]:
    """Write the copy; return its path and where its teachers are from. No invalid file is left."""
    from stillhouse.config.load import load_round
    from stillhouse.rounds.reset import copy_of_round, teachers_of_copy

    new = file.with_name(f"{name}{file.suffix}")
    if new.exists():
        raise RunError(f"{new} exists", "choose another name")
    teachers = teachers_of_copy(workspace, round_, file)
    text = copy_of_round(file.read_text("utf-8"), round_.round, name, teachers)
    new.write_text(text, "utf-8")
    try:
        load_round(new)
    except ConfigError:
        new.unlink()
        raise
    trained = teachers and round_.teachers_from is None
    return new, f"takes its teachers from {workspace.root}" if trained else "keeps its teachers"
