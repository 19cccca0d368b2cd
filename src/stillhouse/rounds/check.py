"""What is checked before a round starts, so that no worker dies of it later."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from stillhouse import data, methods, models
from stillhouse.config.identity import as_written
from stillhouse.config.load import check_parameters
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import PURE, Round, RunConfig
from stillhouse.errors import ConfigError, RunError, command_line, some
from stillhouse.methods.objective import coefficients
from stillhouse.models import named
from stillhouse.models.base import Network
from stillhouse.rounds.edited import changed_runs, epochs_notes
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.training.reopen import untrained_method
from stillhouse.training.weight_files import start_from

SHOWN = 5


def check_round(
    workspace: Workspace, round_: Round, file: Path, only: str | None, data_root: Path | None
) -> None:
    """Raise StillhouseError if the round cannot be trained here as it stands.

    Checked: legacy notes, the active round, method parameters, datasets and their packages, the
    user's own files, that every method can serve its networks, and that runs which have started
    still have the configuration they started with. Without `data_root` datasets are not looked for.
    """
    refuse_legacy(round_)
    workspace.refuse_second(round_)
    check_parameters(round_, file)
    survey = survey_round(workspace, round_, only)
    if data_root:
        for dataset in unfinished_datasets(survey):
            data.check(dataset, data_root, round_.files)
    unfinished = [cell.config for cell in survey.cells if cell.state.name != "done"]
    try_own_files(unfinished)
    try_libraries(unfinished)
    try_methods(unfinished)
    differing = [*changed_runs(survey.cells, exact=True)]
    changed = [
        f"{cell.config.path}: {field}: {as_written(was)} -> {as_written(now)}"
        for cell, fields in differing
        for field, was, now in fields
    ]
    if changed:
        raise RunError(
            "\n    ".join(
                (
                    "runs were started with another configuration:",
                    some(changed, SHOWN, "\n    "),
                    *epochs_notes(differing, round_),
                )
            ),
            "restore the round file, or train them anew after: "
            + command_line("reset --changed", file, workspace.root),
        )


def unfinished_datasets(survey: Survey) -> list[str]:
    """The datasets of which something is left to train."""
    return sorted({cell.config.dataset for cell in survey.cells if cell.state.name != "done"})


def try_own_files(runs: Iterable[RunConfig]) -> None:
    """Use the user's own methods and models once; raise ConfigError for what is wrong with one."""
    for dataset, model, method, files in dict.fromkeys(
        (run.dataset, run.model, run.method, run.files) for run in runs if run.files
    ):
        methods.load(method, files)
        spec = data.spec(dataset, files)
        network = models.build(model, spec, files)
        models.shapes(network, spec)


def try_libraries(runs: Iterable[RunConfig]) -> None:
    """Make every network of a library once; raise StillhouseError if one cannot be used.

    Weights from which a network starts, or with which it teaches, must be there.
    """
    tried = set()
    for run in runs:
        for name in filter(None, (run.model, run.teacher.model if run.teacher else None)):
            options = named.find(name, run.networks)
            key = (name, run.dataset, run.networks, run.files)
            if key in tried or not (options or named.split(name)):
                continue
            tried.add(key)
            spec = data.spec(run.dataset, run.files)
            network = models.build(name, spec, run.files, run.networks)
            models.shapes(network, spec)
            if options and options.weights and options.train:
                start_from(network, options)


def try_methods(runs: Iterable[RunConfig]) -> None:
    """Make every method between its two networks once, untrained, and weigh its terms.

    Raises ConfigError that names each pair that a method cannot serve, with the method's reason.
    """
    networks: dict[tuple[object, ...], Network] = {}
    refused: dict[str, str] = {}
    tried = set()
    for run in map(resolve, runs):
        spec = data.spec(run.dataset, run.files)
        images = (spec.classes, spec.channels, spec.size, run.files, run.networks)
        taught = run.teacher.model if run.teacher else None
        pair = (run.method, str(run.parameters), str(run.distillation), taught, run.model, images)
        if run.method == PURE or pair in tried:
            continue
        tried.add(pair)
        for name in filter(None, (run.model, taught)):
            if (name, images) not in networks:
                networks[name, images] = models.build(name, spec, run.files, run.networks)
        student, teacher = (networks.get((name, images)) for name in (run.model, taught))
        assert student is not None
        try:
            method, weighing = untrained_method(run, student, teacher), run.distillation
            coefficients(method.reference(method.config), weighing.total, weighing.alpha)
        except ConfigError as error:
            between = f"{taught} to {run.model}" if taught else run.model
            refused.setdefault(f"{run.dataset}, {run.label}, {between}", str(error))
    if refused:
        reasons = some([f"{where}: {why}" for where, why in refused.items()], SHOWN, "\n    ")
        raise ConfigError(
            f"{len(refused)} of the round's methods cannot be trained there:\n    {reasons}",
            "leave the method out, or change what is named",
        )


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
