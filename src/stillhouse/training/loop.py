"""The training loop: one batch, one forward pass of the teacher, one step of every student.

A member's weights do not depend on the other members: random numbers depend on the member's own
seed and position, the teacher is frozen, and nothing else is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from stillhouse.causes import Cause
from stillhouse.data.base import Batch
from stillhouse.errors import one_line
from stillhouse.models.base import Outputs
from stillhouse.runs.claim import Superseded
from stillhouse.training.epoch_end import end_epoch
from stillhouse.training.epoch_metrics import StepClock
from stillhouse.training.health import LOOK_STEPS
from stillhouse.training.laps import Lap, Laps, no_lap
from stillhouse.training.recorder import Recorder
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
    device's message where its memory does not hold them all, `laps` measures where the time goes.
    """

    members: list[Member]
    shared: Shared
    chance: float
    on_error: Callable[[str], None]
    failures: int = field(default=0)
    crowded: str = field(default="")
    laps: Laps | None = None


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
    shared, device = cohort.shared, cohort.shared.place.device
    loading, teaching, lap = StepClock(device), StepClock(device), _profiled(cohort)
    _finish_completed(cohort)
    while cohort.members:
        position = min(member.trainer.position for member in cohort.members)
        active = [m for m in cohort.members if m.trainer.position == position]
        if reason := stop.reason():
            _stop(cohort, reason, stop.code)
            return reason
        with loading:
            batch = shared.inputs.batch(shared.batches.batch(*position))
        lap("data")
        needed = any(member.trainer.needs_teacher for member in active)
        with teaching:
            taught = shared.inputs.teach(batch) if needed else None
        lap("teacher")
        for member in active:
            with _isolated(cohort, member):
                _step(member, batch, taught)
        for member in active:
            member.trainer.join()
        step = position[1] + 1
        if device.type == "cpu" or step % LOOK_STEPS == 0 or step == shared.batches.steps:
            _share(active, loading.read(), teaching.read())
        if step == shared.batches.steps:
            if shared.teacher:
                shared.teacher.check_unchanged()
                lap("guards")
            for member in [m for m in active if m in cohort.members]:
                with _isolated(cohort, member):
                    record = end_epoch(member.trainer, member.recorder, shared, len(active))
                    on_epoch(member.trainer, record)
                    member.trainer.check_progress(cohort.chance)
            _finish_completed(cohort)
    return None


def _profiled(cohort: Cohort) -> Lap:
    """Let every member mark its parts where the training is profiled; return the cohort's mark."""
    if cohort.laps is None:
        return no_lap
    for member in cohort.members:
        run = member.trainer.config
        member.trainer.lap = cohort.laps.of(
            run.label if run.teacher else f"{run.label} {run.model}"
        )
    return cohort.laps.of("")


def _share(active: list[Member], loading: float, teacher: float) -> None:
    """Add the seconds of a batch and of the teacher's pass to every run that needs them."""
    for member in active:
        member.trainer.epoch_metrics.loading += loading
        member.trainer.epoch_metrics.teacher += teacher if member.trainer.needs_teacher else 0.0


def _step(member: Member, batch: Batch, taught: Outputs | None) -> None:
    member.trainer.step(batch, taught, join=False)
    member.recorder.step(member.trainer)
    member.trainer.lap("records")


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
