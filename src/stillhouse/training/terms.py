"""Does a method do what it claims: is its own term lower for its student than for a pure one?

Both students are measured on the test images against the same teacher. Where the method trains
modules of its own (a regressor, a translator), its student is measured with those it was trained
with, and the pure student, frozen, with ones fitted to it by the same recipe, in as many epochs
unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.data.base import Batch
from stillhouse.data.loader import TrainBatches, plain_batches
from stillhouse.errors import RunError
from stillhouse.models.base import Outputs
from stillhouse.own import versioned
from stillhouse.runs.folder import RunFolder
from stillhouse.training.cohort import (
    Place,
    Prepared,
    find_teacher,
    make_trainee,
    prepare_data,
    train_batches,
)
from stillhouse.training.evaluate import EVALUATION_BATCH
from stillhouse.training.optim import make_optimizer, set_rate
from stillhouse.training.pretrain import pretrain
from stillhouse.training.recorder import load_into
from stillhouse.training.teacher import TrainedTeacher
from stillhouse.training.trainee import Trainee


@dataclass(frozen=True)
class Comparison:
    """A method's weighted loss, without cross entropy, of its own student and of the pure one."""

    run: RunConfig
    own: float
    pure: float


def compare(
    runs: list[RunConfig], place: Place, fit_epochs: int | None = None
) -> Iterator[Comparison]:
    """Compare each completed distillation run with the completed pure run of its seed.

    `runs` are resolved and completed; `fit_epochs` is for the modules fitted to a pure student,
    as many as the run had if not given. Raises RunError if a pure run is missing.
    """
    prepared: dict[str, Prepared] = {}
    teachers: dict[tuple[str, Teacher | None], TrainedTeacher] = {}
    for run in map(_in_float32, runs):
        if run.dataset not in prepared:
            prepared[run.dataset] = prepare_data(run, place.data_root, place.device)
        images = prepared[run.dataset]
        key = (run.dataset, run.teacher)
        if key not in teachers:
            teachers = {key: find_teacher(run, place, images.data)}
        epochs = run.training.epochs if fit_epochs is None else fit_epochs
        own, pure = (
            _measure(run, folder_of(place.experiments, path), teachers[key], images, place, epochs)
            for path in (run.path, f"{run.dataset}/pure/{run.model}/{run.seed}")
        )
        yield Comparison(run, own, pure)


def _in_float32(run: RunConfig) -> RunConfig:
    """The same run measured as every evaluation is, whatever precision it was trained in."""
    recipe = run.training.model_copy(update={"precision": "fp32"})
    return run.model_copy(update={"training": recipe})


def _measure(
    run: RunConfig,
    folder: RunFolder,
    teacher: TrainedTeacher,
    prepared: Prepared,
    place: Place,
    epochs: int,
) -> float:
    result = folder.completed()
    if result is None:
        raise RunError(f"{folder.path} is not finished", "train it first")
    batches = train_batches(prepared.data, run)
    trainee = make_trainee(run, prepared.data, batches.steps, teacher, place)
    load_into(trainee.network, folder.final, result["weights"]["final"])
    trainee.network.requires_grad_(False).eval()
    if "method" in result["weights"]:
        load_into(trainee.method, folder.method, result["weights"]["method"])
    else:
        cache = place.experiments / "pretrained"
        name = versioned("method", run.method, run.files)
        pretrain(trainee.method, name, teacher, batches, cache, beat=lambda: None)
        _fit(trainee, teacher, batches, epochs)
    return _on_test(trainee, teacher, prepared)


def _fit(trainee: Trainee, teacher: TrainedTeacher, batches: TrainBatches, epochs: int) -> None:
    """Train the method's own modules, if it has any, on the frozen student."""
    own = [p for p in trainee.method.parameters() if p.requires_grad]
    if not own:
        return
    warmup = min(trainee.config.training.warmup_epochs, epochs - 1)
    recipe = trainee.config.training.model_copy(update={"epochs": epochs, "warmup_epochs": warmup})
    optimizer = make_optimizer(recipe, own, trainee.method.parameter_groups())
    for epoch in range(epochs):
        for step in range(batches.steps):
            set_rate(optimizer, recipe, epoch, step, batches.steps)
            batch = batches.batch(epoch, step)
            loss = _loss(trainee, trainee.method.terms(*_look(trainee, teacher, batch), batch))
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()


@torch.no_grad()
def _on_test(trainee: Trainee, teacher: TrainedTeacher, prepared: Prepared) -> float:
    trainee.method.eval()
    total, seen = 0.0, 0
    for batch in plain_batches(prepared.data.test, prepared.data.spec, EVALUATION_BATCH):
        terms = trainee.method.terms(*_look(trainee, teacher, batch), batch)
        total += float(_loss(trainee, terms)) * len(batch.labels)
        seen += len(batch.labels)
    return total / seen


def _look(trainee: Trainee, teacher: TrainedTeacher, batch: Batch) -> tuple[Outputs, Outputs]:
    with torch.no_grad():
        student: Outputs = trainee.network(batch.images)
    return student, teacher(batch)


def _loss(trainee: Trainee, terms: dict[str, Tensor]) -> Tensor:
    """The weighted sum of the terms, as it counts in the last epoch."""
    epochs = trainee.config.training.epochs
    weights = trainee.method.weights(trainee.coefficients, epochs - 1, epochs)
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()
