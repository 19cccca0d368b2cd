"""What the doctor is asked to look at: a round, one of its runs, or the active round."""

from __future__ import annotations

from pathlib import Path

from stillhouse.config.expand import expand
from stillhouse.config.load import load_round
from stillhouse.config.renamed import current_path, folder_of
from stillhouse.config.schema import Round
from stillhouse.errors import ConfigError, unknown_name
from stillhouse.rounds.workspace import Workspace, open_round


def find(root: Path, target: str | None) -> tuple[Workspace, Round, Path, str | None]:
    """The workspace, the round with its file, and the run's path if one run is meant.

    A run is named by its folder, below `experiments/` or in full, and belongs to the active
    round. Raises ConfigError if there is no active round, or no such run.
    """
    workspace = Workspace(root)
    run = _run(workspace, target) if target else None
    if target and run is None:
        return *open_round(root, target), None
    active = workspace.active()
    if active is None:
        raise ConfigError(f"no round is active in {root.resolve()}", "name a round")
    file = workspace.find(active["round"])
    round_ = load_round(file)
    if run is not None and run not in (known := [one.path for one in expand(round_)]):
        raise unknown_name("run", run, known)
    return workspace, round_, file, run


def _run(workspace: Workspace, target: str) -> str | None:
    """The path of a run below `experiments/`, if the target is a folder there."""
    experiments = workspace.experiments.resolve()
    for path in (folder_of(workspace.experiments, target).path, Path(target)):
        if path.is_dir() and path.resolve().is_relative_to(experiments):
            return current_path(path.resolve().relative_to(experiments).as_posix())
    return None
