"""What must hold on a GPU as it does on a CPU: bits, values, and steps that never wait."""

from __future__ import annotations

import io
import math
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.gpu.workload import (
    EPOCH,
    MODES,
    VARIANTS,
    Cohort,
    Setting,
    make_cohort,
    named,
)

from stillhouse.data.base import Dataset
from stillhouse.errors import StillhouseError
from stillhouse.models.base import fingerprint
from stillhouse.training.trainer import Trainer

Check = dict[str, Any]
SMALL = Setting("ResNet20", "ResNetBaby", students=tuple(VARIANTS), batch_size=32)
TINY = replace(SMALL, teacher="ResNetBaby", students=(("logit", {}), ("rkd", {})), batch_size=16)
STEPS = 6
TOLERANCE = {"fp32": 5e-3, "bf16": 1e-1, "fp16": 2e-2}  # of the total loss, against fp32 on the CPU
ROOT = Path(__file__).parents[2]


def check(name: str, passed: bool | None, detail: str, **facts: Any) -> Check:
    """One row: `passed` is None for something that is measured rather than judged."""
    return {"name": name, "passed": passed, "detail": detail, **facts}


def guarded(name: str, make: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    """The rows of a check; an error in it is a row too, so that the others still run."""
    try:
        yield from make()
    except (RuntimeError, StillhouseError, ValueError, TypeError, AttributeError) as error:
        lines = "".join(traceback.format_exception(error)[-4:])
        yield check(name, False, f"{type(error).__name__}: {error}", traceback=lines)


def synchronisations(base: Setting, images: Dataset, device: torch.device) -> Iterator[Check]:
    """Steps in which the program waits for the GPU, and the lines that do."""
    for precision in ("fp32", "bf16", "fp16"):
        setting = replace(base, precision=precision)
        name = f"no synchronisation in a step: {base.mode} {precision}"
        if device.type != "cuda":
            yield check(name, None, "not measured: needs CUDA")
            continue
        yield from guarded(name, partial(_waits, setting, images, device, name))


def _waits(setting: Setting, images: Dataset, device: torch.device, name: str) -> Iterator[Check]:
    cohort = make_cohort(setting, images, device)
    cohort.run(5)
    torch.cuda.synchronize(device)
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            cohort.run(3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    places = Counter(
        f"{Path(w.filename).name}:{w.lineno}" for w in heard if "synchroniz" in str(w.message)
    )
    total = sum(places.values())
    shown = ", ".join(f"{place} x{count}" for place, count in places.most_common(12))
    students = len(cohort.trainers)
    detail = (
        f"none in 3 steps of {students} students" if not total else f"{total / 3:g} a step: {shown}"
    )
    yield check(name, total == 0, detail, places=dict(places))


def values(base: Setting, images: Dataset, device: torch.device) -> Iterator[Check]:
    """Every method's total loss after 1 and 3 steps, against the CPU's in float32."""
    for number, label in enumerate(named(base.students)):
        name = f"{label} {base.precision} {base.mode} near the CPU"

        def compare(number: int = number, name: str = name) -> Iterator[Check]:
            cohort = make_cohort(base, images, device, [number])
            found = _losses(cohort)
            plain = replace(base, precision="fp32", mode="eager")
            expected = _on_cpu(plain, images, number)
            pairs = zip(found, expected, strict=True)
            differences = [abs(a - b) / max(abs(b), 1e-6) for a, b in pairs]
            finite = all(map(math.isfinite, found))
            near = finite and differences[0] <= TOLERANCE[base.precision]
            detail = f"total loss differs by {differences[0]:.2g} of it, after 3 steps "
            yield check(name, near, detail + f"{differences[2]:.2g}", relative=differences)

        yield from guarded(name, compare)


def _losses(cohort: Cohort) -> list[float]:
    found = []
    for _ in range(3):
        cohort.step()
        cohort.trainers[0].check_health()
        found.append(cohort.trainers[0].epoch_metrics.means()["total"])
    return found


CPU_LOSSES: dict[tuple[str, str], list[float]] = {}


def _on_cpu(setting: Setting, images: Dataset, number: int) -> list[float]:
    key = (setting.student, [*named(setting.students)][number])
    if key not in CPU_LOSSES:
        cpu = torch.device("cpu")
        there = Dataset(images.spec, images.train.to(cpu), images.test.to(cpu))
        CPU_LOSSES[key] = _losses(make_cohort(setting, there, cpu, [number]))
    return CPU_LOSSES[key]


def same_bits(base: Setting, images: Dataset, device: torch.device) -> Iterator[Check]:
    """Six steps in a cohort, alone, and stopped after three: the same weights, bit for bit."""
    together = make_cohort(base, images, device)
    together.run(STEPS)
    for number, label in enumerate(named(base.students)):
        name = f"{label} {base.precision} {base.mode}"

        def compare(number: int = number, name: str = name) -> Iterator[Check]:
            reference = together.trainers[number]
            alone = make_cohort(base, images, device, [number])
            alone.run(STEPS // 2)
            state = _stored(alone.trainers[0].state())
            alone.run(STEPS - STEPS // 2)
            resumed = make_cohort(base, images, device, [number])
            resumed.trainers[0].load(state)
            resumed.position = STEPS // 2
            resumed.run(STEPS - STEPS // 2)
            yield _equal(f"{name}: cohort = alone", reference, alone.trainers[0])
            yield _equal(f"{name}: resumed = uninterrupted", alone.trainers[0], resumed.trainers[0])

        yield from guarded(name, compare)


def modes_agree(base: Setting, images: Dataset, device: torch.device) -> Iterator[Check]:
    """CUDA graphs against eager steps."""

    def compare() -> Iterator[Check]:
        cohorts = [make_cohort(replace(base, mode=mode), images, device) for mode in MODES]
        for cohort in cohorts:
            cohort.run(STEPS)
        for number, label in enumerate(named(base.students)):
            a, b = (cohort.trainers[number] for cohort in cohorts)
            yield _equal(f"{label} {base.precision}: graph = eager", a, b)

    yield from guarded(f"{base.precision}: graph = eager", compare)


def bad_step(base: Setting, images: Dataset, device: torch.device) -> Iterator[Check]:
    """A term that is not finite at one step stops the run, and names the step and the term."""
    name = f"a bad step is named: {base.mode}"

    def provoke() -> Iterator[Check]:
        cohort = make_cohort(base, images, device, [base.students.index(("logit", {}))])
        cohort.run(4)
        (trainer,) = cohort.trainers
        genuine = cohort.batches.batch

        def poisoned(epoch: int, step: int) -> Any:
            batch = genuine(epoch, step)
            return replace(batch, images=batch.images * float("nan")) if step == 6 else batch

        cohort.batches.batch = poisoned  # type: ignore[method-assign]
        message = "no error"
        try:
            cohort.run(4)
            trainer.state()
        except StillhouseError as error:
            message = str(error)
        finite = all(bool(torch.isfinite(p).all()) for p in trainer.network.parameters())
        passed = f"epoch {EPOCH} step 6" in message and "'ce'" in message and finite
        yield check(name, passed, message + ("" if finite else "; its weights are not finite"))

    yield from guarded(name, provoke)


def _equal(name: str, a: Trainer, b: Trainer) -> Check:
    if fingerprint(a.network, a.method) == fingerprint(b.network, b.method):
        return check(name, True, "the same bits")
    pairs = zip(a.network.parameters(), b.network.parameters(), strict=True)
    largest = max(float((p - q).abs().max()) for p, q in pairs)
    return check(name, False, f"weights differ by up to {largest:.3g}", largest=largest)


def _stored(state: dict[str, Any]) -> dict[str, Any]:
    """A state as it comes back from a checkpoint."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True, map_location="cpu")
    return loaded
