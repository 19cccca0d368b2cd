"""Finding what a command line means by ROUND, and by RUN or ROUND."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from stillhouse.config.expand import expand
from stillhouse.config.load import load_round
from stillhouse.config.renamed import current_path, folder_of
from stillhouse.config.schema import Round
from stillhouse.errors import ConfigError, unknown_name
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace


def open_round(root: Path, name: str) -> tuple[Workspace, Round, Path]:
    """The workspace, the round and its file that a command means by ROUND.

    `name` is a round file, the name of a round in the workspace `root`, or a folder that holds a
    round: a workspace, or the archive `analysis/experiment_NAME`. Of two that have the same name,
    the active round of `root` comes first, then a workspace below `root`, then a round file.
    Raises ConfigError listing what was looked for.
    """
    workspace = Workspace(root)
    files = [root / "rounds" / f"{name}.yaml", root / f"{name}.yaml"]
    below = [root / name, workspace.analysis(name)]
    places = [*below, Path(name)]
    active = workspace.active()
    if (file := Path(name)).is_file():
        return _opened(root, file)
    if active and active["round"] == name:
        return _opened(root, active_file(workspace, files))
    for folder in below:
        if Workspace(folder).marker.is_file():
            return _opened(folder, active_file(Workspace(folder)))
    for file in files:
        if file.is_file():
            return _opened(root, file)
    if Workspace(Path(name)).marker.is_file():
        return _opened(Path(name), active_file(Workspace(Path(name))))
    for folder in places:
        if single := _only_file(folder):
            return _opened(folder, single)
    looked = ", ".join(str(path) for path in [Path(name), *files])
    folders = ", ".join(dict.fromkeys(str(path) for path in places))
    raise ConfigError(
        f"no round file for '{name}'", f"looked for {looked}; and as workspaces: {folders}"
    )


def open_survey(root: Path, name: str, only: str | None = None) -> tuple[Workspace, Survey, Path]:
    """The workspace, the runs (see `survey_round`) and the file of a round (see `open_round`)."""
    workspace, round_, file = open_round(root, name)
    return workspace, survey_round(workspace, round_, only), file


def open_target(
    root: Path, target: str | None, named: bool = True
) -> tuple[Workspace, Round, Path, str | None]:
    """The workspace, the round with its file, and the run's path if one run is meant.

    A run is named by its folder, below `experiments/` or in full, and belongs to the active
    round. Raises ConfigError if there is no active round or, with `named`, if its file does not
    name the run.
    """
    workspace = open_workspace(root)
    run = run_path(workspace, target) if target else None
    if target and run is None:
        return *open_round(root, target), None
    if workspace.active() is None:
        raise ConfigError(f"no round is active in {root.resolve()}", "name a round")
    file = active_file(workspace)
    round_ = load_round(file)
    if named and run is not None and run not in (known := [one.path for one in expand(round_)]):
        raise unknown_name("run", run, known)
    return workspace, round_, file, run


def open_workspace(root: Path) -> Workspace:
    """A workspace with the folder of its active round's file, if that is still there."""
    workspace = Workspace(root)
    with suppress(ConfigError):
        if workspace.active():
            return Workspace(root, active_file(workspace).parent)
    return workspace


def run_path(workspace: Workspace, target: str) -> str | None:
    """The path of a run below `experiments/`, if the target is a folder there."""
    experiments = workspace.experiments.resolve()
    for path in (folder_of(workspace.experiments, target).path, Path(target)):
        found = path.resolve()
        if path.is_dir() and found != experiments and found.is_relative_to(experiments):
            return current_path(found.relative_to(experiments).as_posix())
    return None


def active_file(workspace: Workspace, first: list[Path] | None = None) -> Path:
    """The file of the active round, where it was or moved into the workspace.

    Raises ConfigError listing what was looked for.
    """
    active, root = workspace.active(), workspace.root
    assert active is not None
    # An absolute path, as earlier versions recorded it, stays one.
    file = Path(os.path.normpath(root / active["file"]))
    tried = [*(first or []), file, root / file.name, root / "rounds" / file.name]
    tried.append(root / "round.yaml")  # the copy in an archive
    if found := next((path for path in tried if path.is_file()), None):
        return found
    looked = ", ".join(str(path) for path in tried)
    raise ConfigError(f"no round file for '{active['round']}'", f"looked for {looked}")


def _opened(root: Path, file: Path) -> tuple[Workspace, Round, Path]:
    """The round in a file, with its archive if it was archived and no round is active."""
    round_, workspace = load_round(file), Workspace(root, file.parent)
    archive = Workspace(workspace.analysis(round_.round), file.parent)
    archived = archive.marker.is_file() and not workspace.marker.is_file()
    return archive if archived else workspace, round_, file


def _only_file(folder: Path) -> Path | None:
    """The one round file in a folder without an active round. Raises ConfigError for several."""
    if not folder.is_dir():
        return None
    files = sorted([*folder.glob("*.yaml"), *folder.glob("rounds/*.yaml")])
    if len(files) > 1:
        listed = ", ".join(str(file) for file in files)
        raise ConfigError(f"{folder} holds several round files", f"name one of them: {listed}")
    return files[0] if files else None
