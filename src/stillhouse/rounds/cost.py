"""What a round costs: by recorded times, in passes of the pure student, or by timed steps."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from stillhouse import data
from stillhouse.config.facts import multiplications, training_images
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import PURE, RunConfig
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.records import Epoch

FORWARD_SHARE = 1 / 3
TRAINING_PASSES = 3  # forward, and backward to the inputs and to the weights


def recorded_seconds(survey: Survey) -> dict[str, float]:
    """Seconds still needed by unfinished runs (by path), alone, by the epoch times recorded.

    A finished run of the same dataset, method and networks gives the time of an epoch; a run
    without one is left out.
    """
    recorded = _recorded(survey.cells)
    keys = {c.config.path: _kind(c.config) for c in survey.cells}
    return {
        cell.config.path: cell.left * recorded[keys[cell.config.path]]
        for cell in survey.cells
        if cell.state.name != "done" and keys[cell.config.path] in recorded
    }


def timed_seconds(survey: Survey, device_name: str) -> dict[str, float]:
    """Seconds still needed by each unfinished run (by path), alone on a device.

    Where no time is recorded, training steps of the method, its teacher's pass included, are timed
    here and now on random images. Nothing is timed for an imported round, which was trained on
    another machine.
    """
    from stillhouse.training.precision import pick_device
    from stillhouse.training.timing import seconds_per_image

    costs, device = recorded_seconds(survey), pick_device(device_name)
    timed: dict[tuple[object, ...], float] = {}
    for cell in survey.cells:
        if cell.state.name == "done" or cell.config.path in costs or cell.imported:
            continue
        run = resolve(cell.config)
        teacher = run.teacher and run.teacher.model
        kind = run.dataset, run.method, run.model, teacher, str(run.parameters)
        if kind not in timed:
            timed[kind] = seconds_per_image(run, device)
        tested = data.spec(run.dataset, run.files).test_images * FORWARD_SHARE
        costs[run.path] = cell.left * timed[kind] * (training_images(run) + tested)
    return costs


def passes(runs: Iterable[RunConfig]) -> dict[str, float]:
    """What each whole run (by path) costs, in runs of the dataset's first pure student.

    Counted: training images times multiplications, three for a training step and one for the
    teacher's pass.
    """
    runs = list(runs)
    operations = forward_operations(runs)
    found: dict[str, float] = {}
    units: dict[str, float] = {}
    taught = {run.dataset: run.model for run in reversed(runs) if run.teacher}
    for run in runs:
        of = operations[run.dataset]
        epochs = run.training.epochs * training_images(run)
        teacher = of[run.teacher.model] if run.teacher else 0
        found[run.path] = epochs * (TRAINING_PASSES * of[run.model] + teacher)
        if run.method == PURE and run.model == taught.get(run.dataset, run.model):
            units.setdefault(run.dataset, found[run.path])
    for run in runs:
        alone = run.training.epochs * training_images(run) * TRAINING_PASSES
        unit = units.get(run.dataset, alone * operations[run.dataset][run.model])
        found[run.path] /= unit
    return found


def forward_operations(runs: Iterable[RunConfig]) -> dict[str, dict[str, int]]:
    """Multiplications of one image's forward pass, by dataset and network, teachers included.

    Those of convolutions and linear layers are counted, which are nearly all there are.
    """
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        of_dataset = found.setdefault(run.dataset, {})
        for name in {run.model, run.teacher.model if run.teacher else run.model} - {*of_dataset}:
            spec = data.spec(run.dataset, run.files)
            of_dataset[name] = multiplications(name, spec, run.files, run.networks)
    return found


def _recorded(cells: list[Cell]) -> dict[tuple[str, ...], float]:
    times: dict[tuple[str, ...], list[float]] = {}
    for cell in cells:
        newest = _newest(cell)
        if newest is not None and "time" in newest:
            times.setdefault(_kind(cell.config), []).append(newest["time"]["seconds"])
    return {key: median(values) for key, values in times.items()}


def _kind(run: RunConfig) -> tuple[str, ...]:
    """What the time of an epoch depends on."""
    return run.dataset, run.method, run.model, run.teacher.model if run.teacher else ""


def _newest(cell: Cell) -> Epoch | None:
    """The last epoch of a completed run; of an imported one that was cut off, too."""
    if cell.state.result is not None:
        return cell.state.result["final"]
    if not cell.imported or cell.state.name != "lost":
        return None
    try:
        records = cell.folder.records()
    except RunError:  # `status` and `doctor` name the damaged file
        return None
    return records[-1] if records else None
