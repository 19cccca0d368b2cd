"""The loop that a study of seven methods is usually run with: one run at a time, eager.

Every run decodes and augments its images in a DataLoader of its own, asks the teacher itself,
and reads its loss and accuracy at every step for its progress line. cuDNN may choose its fastest
algorithms. The losses are stillhouse's own, so that only the loop differs.
"""

from __future__ import annotations

import copy
import os
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from benchmarks.gpu.workload import Setting, make_teacher
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from stillhouse import methods, models
from stillhouse.data.base import Batch, Dataset
from stillhouse.data.loader import normalise
from stillhouse.methods.objective import coefficients
from stillhouse.seeding import reseed
from stillhouse.training.precision import DTYPES

WORKERS = 4
PADDING = 4


class Pictures(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Images as PIL pictures, through torchvision's transforms."""

    def __init__(self, images: Dataset) -> None:
        from torchvision import transforms

        spec = images.spec
        self.pixels = images.train.images.permute(0, 2, 3, 1).cpu().numpy()
        self.labels = images.train.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(spec.size, padding=PADDING),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(spec.mean, spec.std),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[row])), self.labels[row]


def loader(images: Dataset, batch_size: int, workers: int) -> Iterator[list[Tensor]]:
    """Batches for ever, prepared by processes of their own."""
    batches = DataLoader(
        Pictures(images),
        batch_size,
        shuffle=True,
        num_workers=workers,
        drop_last=True,
        pin_memory=torch.cuda.is_available(),
        persistent_workers=workers > 0,
        collate_fn=default_collate,
    )
    while True:
        yield from batches


def resident(images: Dataset, batch_size: int) -> Iterator[list[Tensor]]:
    """The same batch for ever, already on the device: a loop that never waits for data."""
    rows = slice(0, batch_size)
    pixels = normalise(images.train.images[rows], images.spec)
    while True:
        yield [pixels, images.train.labels[rows]]


def make_step(
    setting: Setting,
    method_name: str,
    options: dict[str, Any],
    images: Dataset,
    device: torch.device,
) -> Callable[[list[Tensor]], tuple[float, float]]:
    """One run's training step, which returns its loss and its accuracy."""
    spec, config = images.spec, setting.config(method_name, options)
    cached = make_teacher(setting.teacher, config.training.precision, images, device)
    teacher = copy.deepcopy(cached.network).to(memory_format=torch.contiguous_format)
    reseed("init", 0, setting.student)
    network = models.build(setting.student, spec).to(device)
    shapes = models.shapes(network, spec)
    kind = methods.load(method_name)
    method = kind(kind.Config(**options), shapes, models.shapes(teacher, spec)).to(device)
    weights = method.weights(
        coefficients(kind.reference(method.config), "reference", None), 0, config.training.epochs
    )
    parameters = [*network.parameters(), *(p for p in method.parameters() if p.requires_grad)]
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9, weight_decay=5e-4)
    dtype = DTYPES.get(setting.precision)
    scaler = torch.amp.GradScaler(device.type, enabled=setting.precision == "fp16")
    identifiers = torch.arange(setting.batch_size, device=device)

    def step(batch: list[Tensor]) -> tuple[float, float]:
        pixels, labels = (part.to(device, non_blocking=True) for part in batch)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            outputs = network(pixels)
            with torch.no_grad():
                taught = teacher(pixels)
        outputs, given = outputs.float(), Batch(pixels, labels, identifiers)
        terms = {"ce": method.task_loss(outputs, given, 0.0)}
        if "teacher" in kind.needs:
            terms |= method.terms(outputs, taught.float(), given)
        loss = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        optimizer.zero_grad()
        torch.autograd.backward(scaler.scale(loss))
        scaler.step(optimizer)
        scaler.update()
        right = (outputs.logits.argmax(dim=1) == labels).double().mean()
        return loss.item(), right.item()

    return step


def seconds_per_step(
    step: Callable[[list[Tensor]], tuple[float, float]],
    batches: Iterator[list[Tensor]],
    repeats: int,
    seconds: float,
) -> list[float]:
    """Seconds per step of `repeats` stretches that together last about `seconds`."""
    deterministic, benchmark = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    try:
        for _ in range(3):
            step(next(batches))
        started = time.perf_counter()
        step(next(batches))
        once = time.perf_counter() - started
        steps = max(2, min(50, int(seconds / repeats / once)))
        found = []
        for _ in range(repeats):
            started = time.perf_counter()
            for _ in range(steps):
                step(next(batches))
            found.append((time.perf_counter() - started) / steps)
    finally:
        torch.backends.cudnn.deterministic = deterministic
        torch.backends.cudnn.benchmark = benchmark
    return found


def workers() -> int:
    """Processes of a loader: four, or what the machine has."""
    return min(WORKERS, os.cpu_count() or 1)


def median(values: list[float]) -> float:
    """The median."""
    return statistics.median(values)
