"""Two batches of everything a cohort will do, in a folder that is thrown away."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from stillhouse import data, models
from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Batch, Dataset
from stillhouse.data.loader import plain_batches
from stillhouse.errors import RunError, StillhouseError
from stillhouse.runs.folder import RunFolder
from stillhouse.training import checkpoint
from stillhouse.training.cohort import (
    Place,
    find_teacher,
    make_trainee,
    prepare_data,
    train_batches,
)
from stillhouse.training.evaluate import EVALUATION_BATCH, Evaluation, evaluate
from stillhouse.training.fingerprint import fingerprint
from stillhouse.training.graphs import Inputs, graphed
from stillhouse.training.loop import peak_memory
from stillhouse.training.precision import configure, settle
from stillhouse.training.teacher import TrainedTeacher
from stillhouse.training.trainee import Trainee

BATCHES = 2


@dataclass(frozen=True)
class Trial:
    """What a run's dry run found: why it cannot be trained (empty: it can), and its cost.

    `seconds` is of its last step, `bytes` the size of its checkpoint, `memory` the most that the
    process, or its GPU, had used by then.
    """

    problem: str = ""
    seconds: float = 0.0
    bytes: int = 0
    memory: int = 0


def dry_run(configs: list[RunConfig], place: Place, taught: bool, scratch: Path) -> list[Trial]:
    """Try the runs of one cohort, all of them held in memory together as in training.

    `configs` are resolved; `taught` says whether their teacher is finished and is to be loaded,
    else a fresh network of its kind stands in. Checkpoints go below `scratch`. What goes wrong
    with a run is in its `Trial`; what goes wrong with all of them is raised.
    """
    first = configs[0]
    configure(first.training)
    images = prepare_data(first, place.data_root, place.device).data
    batches = train_batches(images, first)
    if batches.steps < BATCHES:
        raise RunError(f"an epoch has {batches.steps} steps", "a smaller batch_size")
    some = [batches.batch(0, step) for step in range(BATCHES)]
    student = next((config for config in configs if config.teacher), None)
    teacher = None
    if student is not None:
        teacher = find_teacher(student, place, images) if taught else _stand_in(student, place)
    inputs = Inputs(teacher, graphed(first.training, place.device))
    alive: list[Trainee] = []
    trials = []
    for number, config in enumerate(configs):
        folder = RunFolder(scratch / str(number))
        try:
            trainee = make_trainee(config, images, batches.steps, teacher, place)
            alive.append(trainee)
            trials.append(_try(trainee, some, teacher, inputs, images, folder))
        except Exception as error:  # noqa: BLE001 - a method is foreign code and may raise anything
            trials.append(Trial(describe(error)))
    return trials


def describe(error: BaseException) -> str:
    """An error as one line, with its kind where it was not foreseen."""
    text = " ".join(str(error).split())
    return text if isinstance(error, StillhouseError) else f"{type(error).__name__}: {text}"


def _try(
    trainee: Trainee,
    some: list[Batch],
    teacher: TrainedTeacher | None,
    inputs: Inputs,
    images: Dataset,
    folder: RunFolder,
) -> Trial:
    """Pretraining, steps, a checkpoint written and read back, a look at test images."""
    if teacher is not None and (work := trainee.method.pretraining()):
        work.train(teacher.network, [some])
    seconds = 0.0
    for batch in some:
        started = time.perf_counter()
        batch = inputs.batch(batch)
        trainee.step(batch, inputs.teach(batch) if trainee.needs_teacher else None)
        trainee.look()
        seconds = time.perf_counter() - started
    attempt = folder.attempt(1)
    attempt.path.mkdir(parents=True)
    checkpoint.save(attempt, "dry run", trainee.state())
    size = attempt.checkpoint.stat().st_size
    found, _ = checkpoint.load_newest(folder, "dry run")
    if found is None:
        raise RunError(f"the checkpoint {attempt.checkpoint} did not read back as written")
    trainee.load(found.state)
    network = trainee.method.inference_model(trainee.network)
    rows = torch.arange(min(EVALUATION_BATCH, len(images.test)), device=trainee.device)
    evaluate(network, plain_batches(images.test.rows(rows), images.spec, EVALUATION_BATCH))
    return Trial("", seconds, size, peak_memory(trainee.device))


def _stand_in(config: RunConfig, place: Place) -> TrainedTeacher:
    """A network like the teacher that is not trained yet."""
    assert config.teacher is not None
    spec, name = data.spec(config.dataset, config.files), config.teacher.model
    network = models.build(name, spec, config.files)
    network.requires_grad_(False).eval()
    settle(network, place.device)
    nothing = torch.empty(0, dtype=torch.int64)
    return TrainedTeacher(
        network=network,
        facts={"sha256": "", "fingerprint": fingerprint(network)},
        test=Evaluation(torch.empty(0, spec.classes), nothing),
        precision=config.training.precision,
        device=place.device,
    )
