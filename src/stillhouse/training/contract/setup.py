"""A method between two networks and real images, for the checks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stillhouse import data, methods, models
from stillhouse.config.schema import Precision, RunConfig, Training
from stillhouse.data.base import Batch
from stillhouse.data.loader import plain_batches
from stillhouse.methods.base import Method, TrainingImages
from stillhouse.models.base import Network, Outputs
from stillhouse.plugin import Files, Plugin, read_plugin
from stillhouse.training.contract import unusual_network
from stillhouse.training.precision import autocast
from stillhouse.training.trainer import Trainer

CPU = torch.device("cpu")
DATASET = "Digits"
EPOCHS, STEPS, BATCH = 4, 100, 4
PAIRS = {
    "the same kind": ("ResNetBaby", "ResNetBaby"),
    "another kind": ("unusual_network", "ResNetBaby"),
    "another kind, reversed": ("ResNetBaby", "unusual_network"),
}


@dataclass(frozen=True)
class MethodCase:
    """A method, its file if it is custom, and its parameters."""

    name: str
    files: Files = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> type[Method]:
        """Return the method's class."""
        return methods.load(self.name, self.files)

    @property
    def has_teacher(self) -> bool:
        """Return whether it has a teacher."""
        return "teacher" in self.kind.needs

    def setup(self, pair: str = "the same kind") -> Setup:
        """Return the method between a pair of new networks, after pretraining."""
        spec, names = data.spec(DATASET), PAIRS[pair]
        torch.manual_seed(0)
        teacher, student = (
            models.build(name, spec, (*self.files, unusual_network_file())) for name in names
        )
        teacher.requires_grad_(False).eval()
        torch.manual_seed(1)
        taught = teacher if self.has_teacher else None
        known = training_images()
        method = methods.make(self.kind, self.options, student, taught, spec, known)
        setup = Setup(self, teacher, student, method.train(), images())
        if work := method.pretraining():
            work.train(teacher, [[setup.batch]] * work.key["epochs"])
        return setup


@dataclass
class Setup:
    """A frozen teacher in eval mode, a student and a method in training mode, one batch."""

    case: MethodCase
    teacher: Network
    student: Network
    method: Method
    batch: Batch

    @torch.no_grad()
    def forward(self, network: Network, precision: Precision = "fp32") -> Outputs:
        """Return a network's float32 outputs for the batch, detached."""
        with autocast(precision, CPU):
            outputs: Outputs = network(self.batch.images)
        return outputs.float()

    def terms(self, student: Outputs) -> dict[str, Tensor]:
        """Return cross entropy and the method's terms, called as in the loop."""
        terms = {"ce": self.method.task_loss(student, self.batch, 0.0)}
        if self.case.has_teacher:
            terms |= self.method.terms(student, self.forward(self.teacher), self.batch)
        return terms

    def trainer(self, precision: Precision = "fp32") -> Trainer:
        """Return the parameters that the loop would train."""
        recipe = Training(
            epochs=EPOCHS, batch_size=BATCH, learning_rate=0.01, weight_decay=0, precision=precision
        )
        name = self.case.name
        config = RunConfig(dataset=DATASET, method=name, model="student", seed=0, training=recipe)
        return Trainer(config, self.student, self.method, STEPS, CPU)

    def step(self, trainer: Trainer, epoch: int = 0) -> None:
        """Take one step of the loop in an epoch, after those that the gradient scaler skips.

        Raises TrainingError if a term or a gradient is not finite, or too many steps are skipped.
        """
        taught = self.forward(self.teacher, trainer.config.training.precision)
        trainer.position = (epoch, 0)
        skipped = None
        while trainer.epoch_metrics.skipped != skipped:
            skipped = trainer.epoch_metrics.skipped
            trainer.step(self.batch, taught if self.case.has_teacher else None)


@cache
def unusual_network_file() -> Plugin:
    """Return the unusual network as a custom component."""
    return read_plugin(Path(unusual_network.__file__))


@cache
def images() -> Batch:
    """Return the first test images of Digits."""
    digits = data.load(DATASET, Path())
    return next(plain_batches(digits.test, digits.spec, BATCH))


@cache
def training_images() -> TrainingImages:
    """Return `images` and every second other one: ids have gaps, as with `train_images`."""
    split = data.load(DATASET, Path()).test
    rows = (split.ids < BATCH) | (split.ids % 2 == 0)
    return TrainingImages(split.ids[rows], split.labels[rows], len(split))


def weights(module: torch.nn.Module) -> dict[str, Tensor]:
    """Return a copy of all parameters and buffers."""
    return copy.deepcopy(module.state_dict())
