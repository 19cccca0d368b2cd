"""Cohorts without files: random or real images, an untrained teacher, students at their start."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from stillhouse import data, methods, models
from stillhouse.config.schema import Precision, RunConfig, Teacher, Training
from stillhouse.data.base import Dataset, Split
from stillhouse.data.loader import TrainBatches
from stillhouse.errors import DataError
from stillhouse.models.base import fingerprint
from stillhouse.seeding import reseed
from stillhouse.training.evaluate import Evaluation
from stillhouse.training.graphs import Inputs, graphed
from stillhouse.training.precision import configure, to_device
from stillhouse.training.reopen import Place, Shared, augmentation
from stillhouse.training.teacher import TrainedTeacher
from stillhouse.training.trainer import Trainer

DATASET = "Cifar10"
EPOCH = 1  # the first epoch also hashes weights for `verify`, which is not what a step costs
BINARY = "cifar-10-batches-bin"
SEVEN = ("pure", "logit", "factor_transfer", "attention_transfer", "fitnets", "rkd", "nst")
VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in methods.names()),
    ("factor_transfer", {"variant": "crd"}),
    ("fitnets", {"variant": "two_stage"}),
]
MODES: dict[str, dict[str, Any]] = {
    "eager": {"cuda_graphs": False},
    "graph": {"cuda_graphs": True},
}


@dataclass(frozen=True)
class Setting:
    """What a cohort trains: the pair of networks, the recipe and the students' methods."""

    teacher: str
    student: str
    precision: str = "fp32"
    mode: str = "eager"
    students: tuple[tuple[str, dict[str, Any]], ...] = tuple((name, {}) for name in SEVEN)
    batch_size: int = 128
    deterministic: bool = True
    tf32: str = "convolutions"

    def config(self, method: str, options: dict[str, Any]) -> RunConfig:
        """The run of one student."""
        recipe = Training.model_validate(
            {
                "batch_size": self.batch_size,
                "augmentation": ("pad_crop", "flip"),
                "precision": self.precision,
                "deterministic": self.deterministic,
                "tf32": self.tf32,
                "learning_rate": 0.01,
                **MODES[self.mode],
            }
        )
        return RunConfig(
            dataset=DATASET,
            method=method,
            model=self.student,
            seed=0,
            teacher=Teacher(model=self.teacher, seed=0) if needs_teacher(method) else None,
            training=recipe,
            parameters=options,
        )


@dataclass
class Cohort:
    """Students that step together, their batches and their teacher."""

    trainers: list[Trainer]
    batches: TrainBatches
    teacher: TrainedTeacher
    inputs: Inputs
    position: int = 0

    def step(self) -> None:
        """One step of every student, as the training loop takes it."""
        step = self.position % self.batches.steps
        self.position += 1
        batch = self.inputs.batch(self.batches.batch(EPOCH, step))
        taught = self.inputs.teach(batch)
        for trainer in self.trainers:
            trainer.position = (EPOCH, step)
            trainer.step(batch, taught, join=False)
        for trainer in self.trainers:
            trainer.join()

    def run(self, steps: int) -> None:
        """So many steps."""
        for _ in range(steps):
            self.step()


def needs_teacher(method: str) -> bool:
    """Whether runs of a method have a teacher."""
    return methods.load(method).taught_by != "nobody"


def load_images(root: Path | None, count: int, device: torch.device) -> tuple[Dataset, str]:
    """CIFAR-10 from a folder that stillhouse reads, else random images; and which it is."""
    spec = data.spec(DATASET)
    if root is not None and (root / BINARY).is_dir():
        pairs = _binary(root / BINARY)
        kind = f"CIFAR-10 from {BINARY}, {len(pairs[0][1]):,} training images"
    elif root is not None:
        try:
            found = data.load(DATASET, root)
        except DataError as error:
            raise SystemExit(f"{error}") from error
        pairs = [(found.train.images, found.train.labels), (found.test.images, found.test.labels)]
        kind = "CIFAR-10"
    else:
        pairs = [_random(count, spec.classes, 0), _random(max(64, count // 5), spec.classes, 1)]
        kind = f"{count:,} random images"
    train, test = (
        Split(images, labels, torch.arange(len(labels))).to(device) for images, labels in pairs
    )
    return Dataset(spec, train, test), kind


def _random(count: int, classes: int, seed: int) -> tuple[Tensor, Tensor]:
    draws = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 3, 32, 32), generator=draws, dtype=torch.uint8)
    return images, torch.randint(0, classes, (count,), generator=draws)


def _binary(folder: Path) -> list[tuple[Tensor, Tensor]]:
    """The binary layout: rows of one label and 3 x 32 x 32 bytes; some files may be missing."""
    found = []
    for pattern in ("data_batch_*.bin", "test_batch.bin"):
        files = sorted(folder.glob(pattern))
        if not files:
            raise SystemExit(
                f"{folder} holds no {pattern}; expected the binary version of CIFAR-10"
            )
        rows = [np.fromfile(file, dtype=np.uint8).reshape(-1, 3073) for file in files]
        table = torch.from_numpy(np.concatenate(rows))
        found.append((table[:, 1:].reshape(-1, 3, 32, 32).contiguous(), table[:, 0].long()))
    return found


@cache
def make_teacher(
    name: str, precision: Precision, images: Dataset, device: torch.device
) -> TrainedTeacher:
    """An untrained teacher whose batch-norm statistics are those of one batch.

    Without them a deep untrained network overflows float16 in eval mode. The same for every
    caller, who must not change it.
    """
    spec = images.spec
    reseed("init", 0, name)
    network = models.build(name, spec)
    batch = TrainBatches(images.train, spec, 0, min(64, len(images.train))).batch(0, 0)
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():  # on the CPU, so that every device has the same teacher
        network.train()(batch.images.cpu())
    network.requires_grad_(False).eval()
    to_device(network, device)
    return TrainedTeacher(
        network=network,
        facts={"sha256": "", "fingerprint": fingerprint(network)},
        test=Evaluation(torch.empty(0, spec.classes), torch.empty(0, dtype=torch.int64)),
        precision=precision,
        device=device,
    )


def make_cohort(
    setting: Setting,
    images: Dataset,
    device: torch.device,
    only: Sequence[int] | None = None,
) -> Cohort:
    """The students of a setting, or `only` some of them, before their first step."""
    recipe = setting.config("pure", {}).training
    configure(recipe)
    batches = TrainBatches(images.train, images.spec, 0, setting.batch_size, augmentation(recipe))
    teacher = make_teacher(setting.teacher, recipe.precision, images, device)
    place = Place(Path(), Path(), Path(), device)
    chosen = range(len(setting.students)) if only is None else only
    configs = [setting.config(*setting.students[number]) for number in chosen]
    inputs = Inputs(teacher, graphed(recipe, device))
    shared = Shared(place, images, None, "", batches, teacher, inputs)
    return Cohort([shared.trainer(config) for config in configs], batches, teacher, inputs)


def named(students: Sequence[tuple[str, dict[str, Any]]]) -> Iterator[str]:
    """`fitnets` or `fitnets-two_stage`."""
    for name, options in students:
        yield "-".join([name, *map(str, options.values())])
