"""A process that trains one cohort of a round."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import torch

from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.runs.claim import Claim
from stillhouse.training.cohort import open_cohort
from stillhouse.training.laps import Laps
from stillhouse.training.loop import Cohort, train
from stillhouse.training.memory import fitting
from stillhouse.training.recorder import Recorder, epoch_line
from stillhouse.training.reopen import Place
from stillhouse.training.stop import Stop
from stillhouse.training.trainer import Record, Trainer

STOPPED = 3


def work(
    configs: list[RunConfig],
    place: Place,
    parent: int | None,
    until: float | None,
    log: Callable[[str], None],
    on_error: Callable[[str], None],
    profile: Path | None = None,
    share: int = 1,
) -> int:
    """Train resolved configurations as one cohort, or in parts if the GPU's memory is too small.

    `share` workers use the GPU. Where the time went is written to the file `profile`, if one is
    given.

    Returns 0 if all finished, 1 if one failed, 3 if asked to stop before the end.
    """
    stop = Stop(parent, until)
    stop.listen()

    def on_epoch(trainer: Trainer, record: Record) -> None:
        log(f"{trainer.config.path}: {epoch_line(record, trainer.config.training.epochs)}")

    failures, reason = 0, None
    parts = fitting(configs, place.device, share, on_error)
    laps = Laps(place.device) if profile else None
    while parts and not reason:
        part = parts.pop(0)
        try:
            cohort = open_cohort(part, place, on_error)
        except Exception as error:
            _record(error, part, place)
            raise
        cohort.laps = laps
        if laps:
            laps.begin()
        reason = train(cohort, stop, on_epoch)
        if laps and profile:
            laps.write(profile)
        if cohort.crowded:
            parts[:0] = _disperse(cohort, on_error)
        failures += cohort.failures
        del cohort  # frees the device's memory
        if place.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()
    if failures:
        return 1
    return STOPPED if reason else 0


def _disperse(cohort: Cohort, on_error: Callable[[str], None]) -> list[list[RunConfig]]:
    """Stop the members at their last checkpoints; returns two smaller cohorts.

    A run that was alone on the device fails.
    """
    left = [member.trainer.config for member in cohort.members]
    if len(left) == 1:
        error = RunError(
            f"out of GPU memory, alone in its process ({cohort.crowded})",
            "fewer workers on this GPU (--jobs), or a GPU with more memory",
            code="oom-gpu",
        )
        cohort.failures += 1
        cohort.members[0].recorder.fail(error)
        return []
    reason = f"out of GPU memory in a cohort of {len(left)}"
    on_error(f"{reason}: continued in two smaller ones, each from its last checkpoints")
    for member in cohort.members:
        member.recorder.pause(reason, "oom-gpu")
    return [left[::2], left[1::2]]


def _record(error: Exception, configs: list[RunConfig], place: Place) -> None:
    """Record a failure of the process for every run, in its folder."""
    for config in configs:
        folder = place.folder(config.path)
        with suppress(RunError):  # another process is training it, or its files are damaged
            if not folder.completed():
                Recorder(folder, Claim.take(folder), "").fail(error)
