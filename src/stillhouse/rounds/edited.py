"""Where a round file and the runs of its workspace disagree. Imports no torch unless `exact`.

A file may be edited after runs have begun: a setting has another value, or a method, a seed or a
network is no longer named.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from stillhouse import methods
from stillhouse.config.expand import expand
from stillhouse.config.identity import as_written, counted, difference
from stillhouse.config.recorded import recorded
from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import Round, RunConfig
from stillhouse.errors import some
from stillhouse.models.named import find
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.rounds.workspace import TRASH, Workspace

SHOWN_RUNS = 3
NO_RUNS = (TRASH, "adopted", "jobs", "own_files", "pretrained")
Changes = list[tuple[str, Any, Any]]


def changed_runs(cells: Iterable[Cell], exact: bool = False) -> Iterator[tuple[Cell, Changes]]:
    """Runs that were started with other settings than the round file has now, and which: the
    field, its value then and its value now.

    A setting that the file leaves out has the default that the method's text declares; `exact`
    imports the method and computes what its text does not say.
    """
    for cell in cells:
        if cell.state.name in ("missing", "unreadable"):
            continue
        if was := cell.was or recorded(cell.folder):
            if exact:
                from stillhouse.config.resolve import resolve  # needs torch

                now = resolve(cell.config)
            else:
                now = _filled(cell.config, was)
            now = _with_known_weights(now, was)
            if now != was and (found := difference(counted(was), counted(now))):
                yield cell, found


def _filled(config: RunConfig, was: RunConfig) -> RunConfig:
    """A configuration with the defaults of what the recorded one has besides."""
    defaults = methods.declared(config.method, config.files).defaults
    given = {
        name: value
        for name, value in config.parameters.items()
        if name in was.parameters or value != defaults.get(name)
    }
    parameters = {name: defaults.get(name, value) for name, value in was.parameters.items()} | given
    weighing = config.distillation
    if weighing.alpha is None and weighing.total == was.distillation.total:
        weighing = was.distillation
    return config.model_copy(update={"parameters": parameters, "distillation": weighing})


def _with_known_weights(config: RunConfig, was: RunConfig) -> RunConfig:
    """A configuration whose missing weight files count as those that the run had."""
    networks = [
        one.model_copy(update={"sha256": before.sha256})
        if one.weights and one.sha256 is None and (before := find(one.label, was.networks))
        else one
        for one in config.networks
    ]
    return config.model_copy(update={"networks": tuple(networks)})


def changed_notes(changed: Iterable[tuple[Cell, Changes]]) -> tuple[str, ...]:
    """One sentence per setting that was changed since some runs began, naming the runs."""
    found: dict[str, list[str]] = {}
    for cell, fields in changed:
        for field, was, now in fields:
            what = f"{field} {as_written(was)} (now {as_written(now)})"
            found.setdefault(what, []).append(cell.config.path)
    return tuple(
        f"Trained with {what}: {some(paths, SHOWN_RUNS)}." for what, paths in sorted(found.items())
    )


def epochs_notes(changed: Iterable[tuple[Cell, Changes]], round_: Round) -> tuple[str, ...]:
    """What of the runs can be reused where the number of epochs was changed, and why not more."""
    found = [
        (cell.config.training, was, now)
        for cell, fields in changed
        for field, was, now in fields
        if field == "training.epochs"
    ]
    if not found:
        return ()
    recipe, was, now = found[0]
    if recipe.schedule == "cosine":
        why = (
            "the cosine schedule is spread over all epochs, so every epoch after the first would "
            "have had another learning rate"
        )
    else:
        why = "a completed run keeps its weights, but not the state of the optimizer"
    teachers = (
        "Its teachers can be: with --as NAME instead of --changed, `reset` writes a new round file "
        "that takes them from here and trains the students alone."
        if round_.own_teachers
        else "The given teachers stay as they are; with --as NAME instead of --changed, `reset` "
        "writes a new round file with them, and these runs stay too."
    )
    return (f"From {was} to {now} epochs no trained epoch can be reused: {why}. {teachers}",)


def dropped_runs(workspace: Workspace, round_: Round, known: Iterable[Path] = ()) -> list[str]:
    """The runs of the workspace that its round file no longer names; none if the active round is
    another one. `known` are folders of runs that it does name, where they are known.
    """
    active, experiments = workspace.active(), workspace.experiments
    if (active and active["round"] != round_.round) or not experiments.is_dir():
        return []
    named = {str(folder) for folder in known}
    homes = [home for home in _folders(str(experiments)) if os.path.basename(home) not in NO_RUNS]
    begun = [run for home in homes for run in _runs(home, named)]
    if begun:  # `known` may be a part of the round, or empty
        named = {str(folder_of(experiments, run.path).path) for run in expand(round_)}
    return sorted(Path(os.path.relpath(r, experiments)).as_posix() for r in begun if r not in named)


def _runs(folder: str, named: set[str]) -> Iterator[str]:
    """The folders of runs that have begun at or below a folder and are not `named`."""
    if folder in named:
        return
    if os.path.isfile(f"{folder}/run.json"):
        yield folder
    else:
        for below in _folders(folder):
            yield from _runs(below, named)


def _folders(folder: str) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def dropped_notes(
    workspace: Workspace, round_: Round, known: Iterable[Path] = ()
) -> tuple[str, ...]:
    """A sentence that names the runs which the round file no longer names."""
    dropped = dropped_runs(workspace, round_, known)
    if not dropped:
        return ()
    return (f"Runs that the round file no longer names: {some(dropped, SHOWN_RUNS)}.",)


def disagreements(
    workspace: Workspace, survey: Survey, reset: str, fields: bool = True
) -> tuple[str, ...]:
    """Sentences on every setting that was changed (unless `fields` is false: where they are shown
    already), on what to type then, and on the runs that are no longer named.
    """
    changed = [*changed_runs(survey.cells)]
    cure = f"Restore the round file, or train these runs anew after: {reset}"
    return (
        *(changed_notes(changed) if fields else ()),
        *epochs_notes(changed, survey.round),
        *([cure] if changed else []),
        *dropped_notes(workspace, survey.round, (cell.folder.path for cell in survey.cells)),
    )
