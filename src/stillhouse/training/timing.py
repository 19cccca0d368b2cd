"""Time a training step as in the loop, on given batches or on random images."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch

from stillhouse import data
from stillhouse.config.facts import training_images
from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Batch, Dataset, Split
from stillhouse.training.graphs import Inputs, graphed
from stillhouse.training.precision import configure
from stillhouse.training.reopen import Place, Shared, train_batches
from stillhouse.training.teacher import untrained_teacher
from stillhouse.training.trainer import Trainer

IMAGES = 8
STEPS = 3
FIRST = 2  # before it a step of the first epoch hashes weights and measures gradients


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


def untrained(run: RunConfig, device: torch.device) -> tuple[Trainer, Shared, Batch]:
    """Return a resolved run at its first step on random images, what it shares, and one batch."""
    spec, recipe = data.spec(run.dataset, run.files), run.training
    configure(recipe)
    shape = IMAGES, spec.channels, spec.size, spec.size
    ids = torch.arange(training_images(run), device=device)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, device=device)
    split = Split(pixels, ids % spec.classes, ids, chosen=ids % IMAGES)
    images = Dataset(spec, split, split)
    teacher = None
    if run.teacher:
        teacher = untrained_teacher(run, images, device)
    inputs, place = Inputs(teacher, graphed(recipe, device)), Place(Path(), Path(), Path(), device)
    shared = Shared(place, images, None, "", train_batches(images, run), teacher, inputs)
    batch = Batch(torch.randn(shape, device=device), split.labels[:IMAGES], ids[:IMAGES])
    return shared.trainer(run), shared, batch
