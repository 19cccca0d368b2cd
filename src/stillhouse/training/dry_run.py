"""Train two batches of every run of a cohort, in a temporary folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Batch
from stillhouse.data.loader import plain_batches
from stillhouse.errors import RunError, printable, reason_of
from stillhouse.runs.folder import RunFolder
from stillhouse.training import checkpoint
from stillhouse.training.epoch_end import peak_memory
from stillhouse.training.evaluate import EVALUATION_BATCH, evaluate
from stillhouse.training.reopen import Place, Shared, reopen
from stillhouse.training.timing import step_seconds
from stillhouse.training.trainer import Trainer

BATCHES = 2


@dataclass(frozen=True)
class Trial:
    """The result of a run's dry run: why it cannot be trained (empty: it can), and its cost.

    `seconds` is the time of its last step, `bytes` the size of its checkpoint, `memory` the peak of
    the process, or of its GPU, until then.
    """

    problem: str = ""
    seconds: float = 0.0
    bytes: int = 0
    memory: int = 0


def dry_run(configs: list[RunConfig], place: Place, taught: bool, scratch: Path) -> list[Trial]:
    """Try the runs of one cohort, all of them in memory together as in training.

    `configs` are resolved. `taught` states whether their teacher is finished and is loaded;
    otherwise a new network of its kind replaces it. Checkpoints go below `scratch`. An error of one
    run is in its `Trial`; an error of all runs is raised.
    """
    shared = reopen(configs, place, untrained=not taught)
    if shared.batches.steps < BATCHES:
        raise RunError(f"an epoch has {shared.batches.steps} steps", "set a smaller batch_size")
    some = [shared.batches.batch(0, step) for step in range(BATCHES)]
    alive: list[Trainer] = []
    trials = []
    for number, config in enumerate(configs):
        folder = RunFolder(scratch / str(number))
        try:
            trainer = shared.trainer(config)
            alive.append(trainer)
            trials.append(_try(trainer, some, shared, folder))
        except Exception as error:  # noqa: BLE001 - a method is foreign code and may raise anything
            trials.append(Trial(printable(reason_of(error))))
    return trials


def _try(trainer: Trainer, some: list[Batch], shared: Shared, folder: RunFolder) -> Trial:
    """Run pretraining, steps, a checkpoint written and read back, and an evaluation."""
    images = shared.data
    if shared.teacher is not None and (work := trainer.method.pretraining()):
        work.train(shared.teacher.network, [some])
    *_, seconds = step_seconds(trainer, shared, some)
    attempt = folder.attempt(1)
    attempt.path.mkdir(parents=True)
    checkpoint.save(attempt, "dry run", trainer.state())
    size = attempt.checkpoint.stat().st_size
    found, _ = checkpoint.load_newest(folder, "dry run")
    if found is None:
        raise RunError(f"the checkpoint {attempt.checkpoint} was read back with another content")
    trainer.load(found.state)
    network = trainer.method.inference_model(trainer.network)
    rows = torch.arange(min(EVALUATION_BATCH, len(images.test)), device=trainer.device)
    evaluate(network, plain_batches(images.test.rows(rows), images.spec, EVALUATION_BATCH))
    return Trial("", seconds, size, peak_memory(trainer.device))
