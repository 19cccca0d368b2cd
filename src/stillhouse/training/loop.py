"""The training loop: one batch, one forward pass of the teacher, one step of every student.

A member's weights do not depend on the other members: random numbers depend on the member's own
seed and position, the teacher is frozen, and nothing else is shared.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from stillhouse.causes import Cause
from stillhouse.data.base import Batch
from stillhouse.data.loader import plain_batches
from stillhouse.errors import one_line
from stillhouse.models.base import Outputs
from stillhouse.runs.claim import Superseded
from stillhouse.training.evaluate import EVALUATION_BATCH, evaluate, summarise
from stillhouse.training.recorder import Recorder, process_memory
from stillhouse.training.reopen import Shared
from stillhouse.training.stop import Stop
from stillhouse.training.trainer import Record, Trainer


@dataclass
class Member:
    """One run of a cohort: its state, its recorder, and the facts for its result."""

    trainer: Trainer
    recorder: Recorder
    facts: Record


@dataclass
class Cohort:
    """Runs that share dataset, seed, batch order and teacher.

    `chance` is the test accuracy (%) of guessing. `failures` counts the members that left with an
    error; `on_error` is called with errors that no run folder could take. `crowded` is the
    device's message where its memory does not hold them all.
    """

    members: list[Member]
    shared: Shared
    chance: float
    on_error: Callable[[str], None]
    failures: int = field(default=0)
    crowded: str = field(default="")


def train(cohort: Cohort, stop: Stop, on_epoch: Callable[[Trainer, Record], None]) -> str | None:
    """Train every member to its end; return the reason if asked to stop before.

    The members furthest behind step first, so a resumed member catches up with the others.
    `on_epoch` is called with the record of every finished epoch. An error in a part that all share,
    such as the teacher, fails every member. If the device is out of memory, the members stay, and
    `crowded` is set.
    """
    try:
        return _train(cohort, stop, on_epoch)
    except torch.OutOfMemoryError as error:
        cohort.crowded = one_line(error)
        return None
    except Exception as error:  # noqa: BLE001 - as in `_isolated`
        for member in list(cohort.members):
            _fail(cohort, member, error)
        return None


def _train(cohort: Cohort, stop: Stop, on_epoch: Callable[[Trainer, Record], None]) -> str | None:
    shared = cohort.shared
    _finish_completed(cohort)
    while cohort.members:
        position = min(member.trainer.position for member in cohort.members)
        active = [m for m in cohort.members if m.trainer.position == position]
        if reason := stop.reason():
            _stop(cohort, reason, stop.code)
            return reason
        batch = shared.inputs.batch(shared.batches.batch(*position))
        needed = any(member.trainer.needs_teacher for member in active)
        taught = shared.inputs.teach(batch) if needed else None
        for member in active:
            with _isolated(cohort, member):
                _step(member, batch, taught)
        for member in active:
            member.trainer.join()
        if position[1] + 1 == shared.batches.steps:
            if shared.teacher:
                shared.teacher.check_unchanged()
            for member in [m for m in active if m in cohort.members]:
                with _isolated(cohort, member):
                    on_epoch(member.trainer, _end_epoch(cohort, member))
                    member.trainer.check_progress(cohort.chance)
            _finish_completed(cohort)
    return None


def _step(member: Member, batch: Batch, taught: Outputs | None) -> None:
    member.trainer.step(batch, taught, join=False)
    member.recorder.step(member.trainer)


def _end_epoch(cohort: Cohort, member: Member) -> Record:
    trainer, shared = member.trainer, cohort.shared
    started = time.perf_counter()
    teacher = shared.teacher.test if shared.teacher and trainer.needs_teacher else None
    network = trainer.method.inference_model(trainer.network)

    def measure(model: nn.Module) -> Record:
        found = {}
        for name, split in splits.items():
            batches = plain_batches(split, shared.data.spec, EVALUATION_BATCH)
            evaluation = evaluate(model, batches, lambda: member.recorder.beat(trainer))
            if model is network and name == "test":
                trainer.predicted = evaluation.rows()
            found[name] = summarise(evaluation, teacher if name == "test" else None)
        return found

    splits = {"test": shared.data.test}
    if shared.validation is not None:
        splits["validation"] = shared.validation
    measured = measure(network)
    if trainer.ema is not None:
        measured["ema"] = measure(trainer.ema.model)
    training = trainer.epoch_metrics.seconds
    evaluating = time.perf_counter() - started
    timing = {
        "seconds": training + evaluating,
        "images_per_second": trainer.epoch_metrics.seen / training,
        "peak_memory": peak_memory(trainer.device),
        "ended": time.time(),
    }
    record = trainer.end_epoch(measured, timing)
    member.recorder.epoch(trainer, record)
    return record


def _finish_completed(cohort: Cohort) -> None:
    for member in [m for m in cohort.members if m.trainer.finished]:
        with _isolated(cohort, member):
            member.recorder.finish(member.trainer, member.facts)
            cohort.members.remove(member)


def _stop(cohort: Cohort, reason: str, code: Cause) -> None:
    for member in list(cohort.members):
        with _isolated(cohort, member):
            member.recorder.stop(member.trainer, reason, code)


@contextmanager
def _isolated(cohort: Cohort, member: Member) -> Iterator[None]:
    """Let a member that fails leave with its reason; the others continue."""
    try:
        yield
    except Superseded as error:
        cohort.members.remove(member)
        member.recorder.give_way(error)
    except torch.OutOfMemoryError:
        raise  # concerns all members: see `train`
    except Exception as error:  # noqa: BLE001 - a method is foreign code and may raise anything
        _fail(cohort, member, error)


def _fail(cohort: Cohort, member: Member, error: Exception) -> None:
    cohort.failures += 1
    cohort.members.remove(member)
    if unrecorded := member.recorder.fail(error):
        cohort.on_error(f"{member.trainer.config.path}: {unrecorded}")


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: the GPU's, or this process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_memory()
