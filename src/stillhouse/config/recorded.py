"""The configuration that a run's folder records."""

from __future__ import annotations

from pathlib import PurePath

from pydantic import ValidationError

from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import MOVE_AWAY


def recorded(folder: RunFolder) -> RunConfig | None:
    """What a run was started with, or None if it never was.

    Raises RunError if `run.json` is damaged, or is that of another run.
    """
    run = folder.started()
    if run is None:
        return None
    try:
        config = RunConfig.model_validate(run["config"])
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, ("config", *first["loc"])))
        raise RunError(f"{folder.run}: the field '{field}': {first['msg']}", MOVE_AWAY) from None
    own = PurePath(config.path).parts
    if folder.path.absolute().parts[-len(own) :] != own:
        raise RunError(f"{folder.run} is that of another run, {config.path}", MOVE_AWAY)
    return config
