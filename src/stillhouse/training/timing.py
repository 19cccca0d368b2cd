"""Time a training step as in the loop, on given batches or on random images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

import torch

from stillhouse import data
from stillhouse.config.facts import training_images
from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Batch, Dataset, Split
from stillhouse.training.evaluate import evaluate
from stillhouse.training.graphs import Inputs, graphed
from stillhouse.training.precision import configure
from stillhouse.training.recorder import process_memory
from stillhouse.training.reopen import Place, Shared, train_batches
from stillhouse.training.teacher import untrained_teacher
from stillhouse.training.trainer import Trainer

IMAGES = 8
STEPS = 3
FIRST = 2  # before it a step of the first epoch hashes weights and measures gradients
BUDGET = 2.0  # seconds of timed steps, about, for each kind of run


def step_seconds(trainer: Trainer, shared: Shared, batches: Iterable[Batch]) -> Iterator[float]:
    """Take a step on each batch; yield its seconds, the teacher's pass included."""
    for batch in batches:
        started = time.perf_counter()
        batch = shared.inputs.batch(batch)
        trainer.step(batch, shared.inputs.teach(batch) if trainer.needs_teacher else None)
        trainer.check_health()  # waits for a GPU
        yield time.perf_counter() - started


def seconds_per_image(run: RunConfig, device: torch.device) -> float:
    """Return the seconds per image of a training step of a resolved run, on random images.

    The dataset need not be present, and the teacher is not trained.
    """
    trainer, shared, batch = untrained(run, device)
    trainer.position = (0, FIRST)
    return min(step_seconds(trainer, shared, [batch] * STEPS)) / IMAGES


def measure(run: RunConfig, device: torch.device) -> dict[str, float]:
    """Return the seconds per image of the parts of a resolved run's epoch, on random images.

    `loading`, `teacher` (its pass), `step` (the run's own) and `evaluation`; and `memory`, the peak
    in bytes of a process that trains this run alone, 0 where it is not known. Batches are whole if
    that takes no more than about `BUDGET` seconds.
    """
    trainer, shared, few = untrained(run, device)
    trainer.position = (0, FIRST)
    whole = run.training.batch_size
    once = min(step_seconds(trainer, shared, [few] * STEPS)) / IMAGES
    count = max(IMAGES, min(whole, int(BUDGET / STEPS / once)))
    images = torch.randn(count, *few.images.shape[1:], device=device)
    rows = torch.arange(count, device=device)
    batch = shared.inputs.batch(Batch(images, few.labels[rows % IMAGES], few.ids[rows % IMAGES]))
    found: dict[str, list[float]] = {"loading": [], "teacher": [], "step": [], "evaluation": []}

    def timed(part: str, images: int, act: Callable[[], object]) -> None:
        started = time.perf_counter()
        act()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        found[part].append((time.perf_counter() - started) / images)

    before = _forget_peak()
    for number in range(STEPS):
        step = number % shared.batches.steps
        timed("loading", whole, partial(shared.batches.batch, 0, step))
        taught = shared.inputs.teach(batch) if trainer.needs_teacher else None
        if trainer.needs_teacher:
            timed("teacher", count, partial(shared.inputs.teach, batch))
        trainer.position = (0, FIRST)
        timed("step", count, partial(trainer.step, batch, taught))
    network = trainer.method.inference_model(trainer.network)
    for _ in range(STEPS):
        timed("evaluation", count, partial(evaluate, network, [batch]))
    seconds = {part: median(values) if values else 0.0 for part, values in found.items()}
    return {**seconds, "memory": _memory(run, before, whole / count)}


def _forget_peak() -> int:
    """Begin the peak memory of this process anew; return its bytes now, 0 if the system cannot."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return 0
    return process_memory()


def _memory(run: RunConfig, before: int, scale: float) -> float:
    """Return the peak in bytes since `_forget_peak`, with images, as `scale` times the batch."""
    if not before:
        return 0.0
    spec = data.spec(run.dataset, run.files)
    held = (spec.train_images + spec.test_images) * spec.channels * spec.size**2
    return before + held + (process_memory() - before) * scale


def untrained(
    run: RunConfig, device: torch.device, count: int = IMAGES
) -> tuple[Trainer, Shared, Batch]:
    """Return a resolved run at its first step, what it shares, and a batch of random images."""
    spec, recipe = data.spec(run.dataset, run.files), run.training
    configure(recipe)
    shape = count, spec.channels, spec.size, spec.size
    ids = torch.arange(training_images(run), device=device)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    split = Split(pixels, ids % spec.classes, ids, chosen=ids % count)
    images = Dataset(spec, split, split)
    teacher = None
    if run.teacher:
        teacher = untrained_teacher(run, images, device)
    inputs, place = Inputs(teacher, graphed(recipe, device)), Place(Path(), Path(), Path(), device)
    shared = Shared(place, images, None, "", train_batches(images, run), teacher, inputs)
    batch = Batch(torch.randn(shape, device=device), split.labels[:count], ids[:count])
    return shared.trainer(run), shared, batch
