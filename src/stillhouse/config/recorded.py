"""The configuration recorded in a run's folder."""

from __future__ import annotations

from pydantic import ValidationError

from stillhouse.config.renamed import modernise_config, written_paths
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.fields import first_fault
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import train_anew


def recorded(folder: RunFolder) -> RunConfig | None:
    """Return the configuration that a run was started with, with today's names; None if it never
    started.

    Raises RunError if `run.json` is damaged, or belongs to another run.
    """
    run = folder.started()
    if run is None:
        return None
    try:
        config = RunConfig.model_validate(modernise_config(run["config"]))
    except ValidationError as error:
        raise RunError(
            f"{folder.run}: {first_fault(error, 'config')}", train_anew(folder.path)
        ) from None
    here = folder.path.absolute().as_posix()
    if not any(here.endswith(f"/{path}") for path in written_paths(config.path)):
        raise RunError(
            f"{folder.run} belongs to another run, {config.path}", train_anew(folder.path)
        )
    return config
