"""Finding a round that is named on a command line beside another one."""

from __future__ import annotations

from pathlib import Path

from stillhouse.config.load import load_round
from stillhouse.config.schema import Round
from stillhouse.errors import ConfigError
from stillhouse.rounds.workspace import Workspace


def locate(root: Path, name: str) -> tuple[Workspace, Round, Path]:
    """A round by its workspace's folder, or by name or file in the workspace `root`.

    Folders are looked for as they are written, below `root`, and as the archive
    `analysis/experiment_NAME` below it. Raises ConfigError listing what was looked for.
    """
    folders = [Path(name), root / name, root / "analysis" / f"experiment_{name}"]
    for folder in folders:
        workspace = Workspace(folder)
        if workspace.marker.exists():
            active = workspace.active()
            assert active is not None
            file = workspace.find(active["round"])
            return Workspace(folder, file.parent), load_round(file), file
    workspace = Workspace(root)
    try:
        file = workspace.find(name)
    except ConfigError as error:
        looked = ", ".join(str(folder / "experiments") for folder in folders)
        raise ConfigError(error.message, f"{error.hint}; and as workspaces: {looked}") from None
    return Workspace(root, file.parent), load_round(file), file
