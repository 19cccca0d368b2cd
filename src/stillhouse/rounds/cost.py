"""What a round will cost: recorded times where there are any, else one measured step a network."""

from __future__ import annotations

import time
from collections.abc import Iterable
from statistics import median

import torch
import torch.nn.functional as F
from torch import nn

from stillhouse import data, models
from stillhouse.config.schema import PURE, RunConfig
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.records import Epoch
from stillhouse.training.precision import configure, pick_device, settle

PROBE_IMAGES = 8
FORWARD_SHARE = 1 / 3
TRAINING_PASSES = 3  # forward, and backward to the inputs and to the weights


def recorded_seconds(seen: Survey) -> dict[str, float]:
    """Seconds still needed by unfinished runs (by path), alone, by the epoch times recorded.

    A finished run of the same dataset, method and network gives the time of an epoch; a run
    without one is left out.
    """
    recorded = _recorded(seen.cells)
    keys = {c.config.path: (c.config.dataset, c.config.method, c.config.model) for c in seen.cells}
    return {
        cell.config.path: cell.left * recorded[keys[cell.config.path]]
        for cell in seen.cells
        if cell.state.name != "done" and keys[cell.config.path] in recorded
    }


def timed_seconds(seen: Survey, device: str) -> dict[str, float]:
    """Seconds still needed by each unfinished run (by path), alone on `device`.

    Where no time is recorded, one training step of the network, and the teacher's forward pass,
    are timed here and now on random images; what a method adds is then left out. Nothing is timed
    for an imported round, which was trained on another machine.
    """
    costs = recorded_seconds(seen)
    probes: dict[tuple[str, str], float] = {}
    for cell in seen.cells:
        if cell.state.name != "done" and cell.config.path not in costs and not cell.imported:
            costs[cell.config.path] = cell.left * _probed(cell.config, probes, device)
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


def training_images(run: RunConfig) -> int:
    """How many images an epoch of a run trains on."""
    spec = data.spec(run.dataset, run.files)
    return run.training.train_images or spec.train_images - run.training.validation


def forward_operations(runs: Iterable[RunConfig]) -> dict[str, dict[str, int]]:
    """Multiplications of one image's forward pass, by dataset and network, teachers included.

    Those of convolutions and linear layers are counted, which are nearly all there are.
    """
    found: dict[str, dict[str, int]] = {}
    for run in runs:
        of_dataset = found.setdefault(run.dataset, {})
        for name in {run.model, run.teacher.model if run.teacher else run.model} - {*of_dataset}:
            spec = data.spec(run.dataset, run.files)
            network = models.build(name, spec, run.files)
            image = torch.zeros(1, spec.channels, spec.size, spec.size)
            of_dataset[name] = _multiplications(network, image)
    return found


def _multiplications(network: nn.Module, image: torch.Tensor) -> int:
    counted: list[int] = []

    def count(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
        weight = layer.get_parameter("weight")
        counted.append(output.numel() * weight[0].numel())

    for layer in network.modules():
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(image)
    return sum(counted)


def _recorded(cells: list[Cell]) -> dict[tuple[str, str, str], float]:
    times: dict[tuple[str, str, str], list[float]] = {}
    for cell in cells:
        newest = _newest(cell)
        if newest is not None and "time" in newest:
            key = (cell.config.dataset, cell.config.method, cell.config.model)
            times.setdefault(key, []).append(newest["time"]["seconds"])
    return {key: median(values) for key, values in times.items()}


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


def _probed(run: RunConfig, probes: dict[tuple[str, str], float], device: str) -> float:
    """Seconds of one epoch: training images, one pass over the test images, the teacher's pass."""
    configure(run.training)

    def step(model: str) -> float:
        if (run.dataset, model) not in probes:
            probes[run.dataset, model] = _seconds_per_image(run, model, device)
        return probes[run.dataset, model]

    spec = data.spec(run.dataset, run.files)
    images = training_images(run)
    seconds = step(run.model) * (images + FORWARD_SHARE * spec.test_images)
    if run.teacher is not None:
        seconds += step(run.teacher.model) * FORWARD_SHARE * images
    return seconds


def _seconds_per_image(run: RunConfig, model: str, device_name: str) -> float:
    device, spec = pick_device(device_name), data.spec(run.dataset, run.files)
    network = models.build(model, spec, run.files)
    settle(network, device)
    images = torch.randn(PROBE_IMAGES, spec.channels, spec.size, spec.size, device=device)
    labels = torch.zeros(PROBE_IMAGES, dtype=torch.int64, device=device)
    times: list[float] = []
    for _ in range(3):
        started = time.perf_counter()
        torch.autograd.backward(F.cross_entropy(network(images).logits, labels))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times) / PROBE_IMAGES
