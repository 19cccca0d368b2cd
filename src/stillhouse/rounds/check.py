"""What is checked before a round starts, so that no worker dies of it later."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stillhouse import data, methods, models
from stillhouse.config.identity import as_written
from stillhouse.config.load import check_parameters
from stillhouse.config.schema import Round, RunConfig
from stillhouse.errors import RunError
from stillhouse.rounds.reset import changed_runs
from stillhouse.rounds.survey import Survey, survey
from stillhouse.rounds.workspace import Workspace

SHOWN = 5


def check_round(
    workspace: Workspace, round_: Round, file: Path, only: str | None, data_root: Path | None
) -> None:
    """Raise StillhouseError if the round cannot be trained here as it stands.

    Checked: legacy notes, the active round, method parameters, datasets and their packages, the
    user's own files, and that runs which have started still have the configuration they started
    with. Without `data_root` datasets are not looked for.
    """
    refuse_legacy(round_)
    workspace.refuse_second(round_)
    check_parameters(round_, file)
    seen = survey(workspace, round_, only)
    if data_root:
        for dataset in unfinished_datasets(seen):
            data.check(dataset, data_root, round_.files)
    try_own_files(cell.config for cell in seen.cells if cell.state.name != "done")
    changed = [
        f"{cell.config.path}: {field}: {as_written(was)} -> {as_written(now)}"
        for cell, fields in changed_runs(seen.cells)
        for field, was, now in fields
    ]
    if changed:
        more = f"\n    and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise RunError(
            "runs were started with another configuration:\n    "
            + "\n    ".join(changed[:SHOWN])
            + more,
            f"restore the round file, or train them anew after: {_reset(workspace, file)}",
        )


def _reset(workspace: Workspace, file: Path) -> str:
    root = "" if workspace.root == Path() else f" --root {workspace.root}"
    return f"stillhouse reset {file}{root} --changed"


def unfinished_datasets(seen: Survey) -> list[str]:
    """The datasets of which something is left to train."""
    return sorted({cell.config.dataset for cell in seen.cells if cell.state.name != "done"})


def try_own_files(runs: Iterable[RunConfig]) -> None:
    """Use the user's own methods and models once; raise ConfigError for what is wrong with one."""
    for dataset, model, method, files in dict.fromkeys(
        (run.dataset, run.model, run.method, run.files) for run in runs if run.files
    ):
        methods.load(method, files)
        spec = data.spec(dataset, files)
        network = models.build(model, spec, files)
        models.shapes(network, spec)


def refuse_legacy(round_: Round) -> None:
    """Raise RunError if a round was imported or did what stillhouse does not repeat."""
    if round_.imported:
        raise RunError(
            f"round '{round_.round}' was imported from {round_.imported.source} and cannot be run",
            "copy its round file without `imported` and `legacy` and give the copy another name",
        )
    if round_.legacy:
        notes = "".join(f"\n    {name}: {note}" for name, note in round_.legacy.items())
        raise RunError(
            f"round '{round_.round}' is a record of what was done and cannot be run:{notes}",
            "copy it without its legacy notes to train the published methods instead",
        )
