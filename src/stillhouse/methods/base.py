"""The one interface between a distillation method and the training loop.

A method is an `nn.Module`: its parameters are trained with the student's and its buffers travel
in the checkpoint. It returns named, unweighted loss terms; how they are weighed against cross
entropy is data (`Reference`, `weights`), so the loop knows no method by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from stillhouse.data.base import Batch
from stillhouse.models.base import Network, Outputs, Shapes

Need = Literal["teacher", "teacher_network", "training_images"]
TaughtBy = Literal["teacher", "student", "nobody"]


@dataclass(frozen=True)
class Reference:
    """The published total loss, `ce * CE + sum(weights[term] * term)`.

    `alpha` is the value at which the convex form `(1 - alpha) CE + alpha w L` has the same
    L : CE ratio (0.5 unless the paper itself is convex).
    """

    ce: float
    weights: dict[str, float]
    alpha: float = 0.5


@dataclass(frozen=True)
class Card:
    """What a reader should know of a method and its code does not say by itself.

    `formula` is each term's, in symbols: z logits, F feature maps, s student, t teacher. `layers`
    says what is compared; `hazards` what goes wrong in practice, one sentence each.
    """

    formula: str
    layers: str
    hazards: tuple[str, ...]


class MethodConfig(BaseModel):
    """Base of every method's own parameters; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class TrainingImages:
    """What a run trains on, without the images: how many there are, their ids and labels.

    `ids` and `labels` are (count,) int64 on the CPU, row for row. The ids are those of
    `Batch.ids`: rows of the whole training set, 0 <= id < `rows`. With `train_images` or
    `validation` in the recipe `count` is smaller than `rows`, and some rows never occur.
    """

    ids: Tensor
    labels: Tensor
    rows: int

    @property
    def count(self) -> int:
        """The number of images that are trained on."""
        return len(self.ids)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters of a method that have an optimizer setting of their own.

    `learning_rate` is the initial rate and follows the recipe's schedule and warm-up;
    `weight_decay` is constant. What is not given is the recipe's.
    """

    parameters: Iterable[nn.Parameter]
    learning_rate: float | None = None
    weight_decay: float | None = None


@dataclass(frozen=True)
class Pretraining:
    """A part trained once per teacher, before distillation, and shared by all its students.

    `key` names everything but the teacher and the data that decides the result. `module`, a
    submodule of the method, is trained in place by `train(teacher, epochs)`, where `epochs`
    yields `key["epochs"]` iterables of batches. The loop caches its state by teacher and key.
    """

    key: dict[str, Any]
    module: nn.Module
    train: Callable[[Network, Iterable[Iterable[Batch]]], None]


class Method(nn.Module):
    """A distillation method. Subclasses live one to a file, named like the method.

    `needs` says what the loop must provide beyond the student's own outputs: `teacher`, outputs for
    `terms`; `teacher_network` and `training_images`, one call of `bind_teacher` and of
    `bind_training_images`. `label` is the row name in tables. `taught_by` is the round's teacher,
    a trained network of the student's own architecture, or nobody. `label` and `taught_by` are
    literals, read without torch. `capturable` says that `terms` can be recorded in a CUDA graph:
    it draws nothing on the CPU, reads no tensor's value, changes no attribute that is no buffer.
    """

    label: ClassVar[str]
    card: ClassVar[Card]
    taught_by: ClassVar[TaughtBy] = "teacher"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    capturable: ClassVar[bool] = False

    class Config(MethodConfig):
        """The method's parameters and their defaults."""

    def __init__(self, config: MethodConfig, student: Shapes, teacher: Shapes | None) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """The published total for this configuration."""
        raise NotImplementedError

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """The unweighted loss terms, each a float32 scalar.

        Called outside autocast with float32 outputs, and only if `needs` has `teacher`.
        """
        raise NotImplementedError

    def task_loss(self, student: Outputs, batch: Batch, label_smoothing: float) -> Tensor:
        """The term called `ce`; a method may replace it."""
        return F.cross_entropy(student.logits, batch.labels, label_smoothing=label_smoothing)

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """The coefficient of `ce` and of each term in this epoch (0-based): phases, warm-ups.

        `coefficients` are those of the chosen total. A term with coefficient 0 stays out of the
        total, so that parameters only it reaches are left alone (no weight decay either).
        """
        return coefficients

    def pretraining(self) -> Pretraining | None:
        """What must be trained on the teacher first, or None."""
        return None

    def parameter_groups(self) -> list[ParameterGroup]:
        """Parameters of the method's own with another learning rate or weight decay.

        The others are trained like the student's.
        """
        return []

    def bind_training_images(self, images: TrainingImages) -> None:
        """Receive ids and labels, once, at the start (only if `needs` has `training_images`).

        Called before `bind_teacher`, and before a checkpoint is loaded: the place to register a
        memory bank as a buffer. Draws come from the method's own stream.
        """
        raise NotImplementedError

    def bind_teacher(self, network: Network) -> None:
        """Receive the frozen teacher, once, at the start (only if `needs` has `teacher_network`).

        A method that keeps a part of it copies that part, or it would be trained and saved as
        its own. Draws come from the method's own stream.
        """
        raise NotImplementedError

    def inference_model(self, student: Network) -> nn.Module:
        """The network that is evaluated and saved: the student unless the method says else."""
        return student
