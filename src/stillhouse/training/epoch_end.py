"""The end of a run's epoch: evaluation, times, record."""

from __future__ import annotations

import time

import torch
from torch import nn

from stillhouse.data.loader import plain_batches
from stillhouse.training.evaluate import EVALUATION_BATCH, evaluate, summarise
from stillhouse.training.health_checks import check_measured
from stillhouse.training.recorder import Recorder, process_memory
from stillhouse.training.reopen import Shared
from stillhouse.training.trainer import Record, Trainer


def end_epoch(trainer: Trainer, recorder: Recorder, shared: Shared, runs: int) -> Record:
    """Evaluate a run at the end of an epoch, and write its record, which is returned.

    `runs` is the number of runs that its cohort has trained in this epoch. Raises TrainingError if
    a measurement is not finite.
    """
    started = time.perf_counter()
    teacher = shared.teacher.test if shared.teacher and trainer.needs_teacher else None
    network = trainer.method.inference_model(trainer.network)

    def measure(model: nn.Module) -> Record:
        found = {}
        for name, split in splits.items():
            batches = plain_batches(split, shared.data.spec, EVALUATION_BATCH)
            evaluation = evaluate(model, batches, lambda: recorder.beat(trainer))
            if model is network and name == "test":
                trainer.predicted = evaluation.rows()
            found[name] = summarise(evaluation, teacher if name == "test" else None)
            check_measured(found[name], name, trainer.position[0])
        return found

    splits = {"test": shared.data.test}
    if shared.validation is not None:
        splits["validation"] = shared.validation
    measured = measure(network)
    if trainer.ema is not None:
        measured["ema"] = measure(trainer.ema.model)
    spent = trainer.epoch_metrics
    evaluated = time.perf_counter()
    trainer.lap("evaluation")
    timing = {
        "seconds": spent.seconds + evaluated - started + spent.loading + spent.teacher,
        "loading": spent.loading,
        "teacher": spent.teacher,
        "runs": runs,
        "images_per_second": spent.seen / spent.seconds,
        "peak_memory": peak_memory(trainer.device),
        "ended": time.time(),
    }
    record = trainer.end_epoch(measured, timing)
    recorder.epoch(trainer, record)
    trainer.epoch_metrics.seconds += time.perf_counter() - evaluated  # writing, to the next epoch
    trainer.lap("records")
    return record


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: the GPU's, or this process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_memory()
