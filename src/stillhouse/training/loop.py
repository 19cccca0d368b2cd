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

from stillhouse.causes import Cause
from stillhouse.data.base import Batch, Split
from stillhouse.data.loader import plain_batches
from stillhouse.errors import one_line
from stillhouse.models.base import Outputs
from stillhouse.runs.claim import Superseded
from stillhouse.training.evaluate import EVALUATION_BATCH, evaluate, summarise
from stillhouse.training.recorder import Recorder, process_memory
from stillhouse.training.reopen import Shared
from stillhouse.training.stop import Stop
from stillhouse.training.trainee import Record, Trainee


@dataclass
class Member:
    """One run of a cohort: its state, its recorder, and the facts for its result."""

    trainee: Trainee
    recorder: Recorder
    facts: Record


@dataclass
class Cohort:
    """Runs that share dataset, seed, batch order and teacher.

    `chance` is the test accuracy (%) of guessing. `failures` counts the members that left with an
    error; `complain` is called with errors that no run folder could take. `crowded` is the
    device's message where its memory does not hold them all.
    """

    members: list[Member]
    shared: Shared
    chance: float
    complain: Callable[[str], None]
    failures: int = field(default=0)
    crowded: str = field(default="")


def train(cohort: Cohort, stop: Stop, tell: Callable[[Trainee, Record], None]) -> str | None:
    """Train every member to its end; return the reason if asked to stop before.

    The members furthest behind step first, so a resumed member catches up with the others. `tell`
    is called with each finished epoch's record. A failure of a shared part, such as the teacher,
    fails every member. Out of GPU memory the members stay, and `crowded` is set.
    """
    try:
        return _train(cohort, stop, tell)
    except torch.OutOfMemoryError as error:
        cohort.crowded = one_line(error)
        return None
    except Exception as error:  # noqa: BLE001 - as in `_isolated`
        for member in list(cohort.members):
            _fail(cohort, member, error)
        return None


def _train(cohort: Cohort, stop: Stop, tell: Callable[[Trainee, Record], None]) -> str | None:
    shared = cohort.shared
    _finish_completed(cohort)
    while cohort.members:
        position = min(member.trainee.position for member in cohort.members)
        active = [m for m in cohort.members if m.trainee.position == position]
        if reason := stop.reason():
            _stop(cohort, reason, stop.code)
            return reason
        batch = shared.inputs.batch(shared.batches.batch(*position))
        needed = any(member.trainee.needs_teacher for member in active)
        taught = shared.inputs.teach(batch) if needed else None
        for member in active:
            with _isolated(cohort, member):
                _step(member, batch, taught)
        for member in active:
            member.trainee.join()
        if position[1] + 1 == shared.batches.steps:
            if shared.teacher:
                shared.teacher.check_unchanged()
            for member in [m for m in active if m in cohort.members]:
                with _isolated(cohort, member):
                    tell(member.trainee, _end_epoch(cohort, member))
                    member.trainee.check_progress(cohort.chance)
            _finish_completed(cohort)
    return None


def _step(member: Member, batch: Batch, taught: Outputs | None) -> None:
    member.trainee.step(batch, taught, join=False)
    member.recorder.step(member.trainee)


def _end_epoch(cohort: Cohort, member: Member) -> Record:
    trainee, shared = member.trainee, cohort.shared
    started = time.perf_counter()
    teacher = shared.teacher.test if shared.teacher and trainee.needs_teacher else None
    network = trainee.method.inference_model(trainee.network)

    def measure(split: Split, teacher_too: bool) -> Record:
        batches = plain_batches(split, shared.data.spec, EVALUATION_BATCH)
        evaluation = evaluate(network, batches, lambda: member.recorder.beat(trainee))
        if split is shared.data.test:
            trainee.predicted = evaluation.rows()
        return summarise(evaluation, teacher if teacher_too else None)

    measured = {"test": measure(shared.data.test, True)}
    if shared.validation is not None:
        measured["validation"] = measure(shared.validation, False)
    training = trainee.tally.seconds
    evaluating = time.perf_counter() - started
    timing = {
        "seconds": training + evaluating,
        "images_per_second": trainee.tally.seen / training,
        "peak_memory": peak_memory(trainee.device),
        "ended": time.time(),
    }
    record = trainee.end_epoch(measured, timing)
    member.recorder.epoch(trainee, record)
    return record


def _finish_completed(cohort: Cohort) -> None:
    for member in [m for m in cohort.members if m.trainee.finished]:
        with _isolated(cohort, member):
            member.recorder.finish(member.trainee, member.facts)
            cohort.members.remove(member)


def _stop(cohort: Cohort, reason: str, code: Cause) -> None:
    for member in list(cohort.members):
        with _isolated(cohort, member):
            member.recorder.stop(member.trainee, reason, code)


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
    if untold := member.recorder.fail(error):
        cohort.complain(f"{member.trainee.config.path}: {untold}")


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: the GPU's, or this process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return process_memory()
