"""The interface between a distillation method and the training loop.

A method is an `nn.Module`: its parameters are trained with the student's, and its buffers are saved
in the checkpoint. It returns named, unweighted loss terms. Their weights relative to cross entropy
are data (`Reference`, `weights`), so the loop contains no method's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from stillhouse.data.base import Batch
from stillhouse.methods.objective import Reference as Reference
from stillhouse.models.base import Network, Outputs, Shapes

Need = Literal["teacher", "teacher_network", "training_images", "preactivations"]
TaughtBy = Literal["teacher", "student", "nobody"]


@dataclass(frozen=True)
class Card:
    """Facts about a method that its code does not show.

    `formula` has each term in symbols: z logits, F feature maps, s student, t teacher. `layers`
    names what is compared; `hazards` are known problems in practice, one sentence each.
    """

    formula: str
    layers: str
    hazards: tuple[str, ...]


class MethodConfig(BaseModel):
    """Base of every method's parameters; unknown keys are an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class TrainingImages:
    """The training images of a run without pixels: their number, ids and labels.

    `ids` and `labels` are (count,) int64 on the CPU, row for row. The ids are those of `Batch.ids`:
    rows of the whole training set, 0 <= id < `rows`. With `train_images` or `validation` in the
    recipe `count` is smaller than `rows`, and some rows never occur.
    """

    ids: Tensor
    labels: Tensor
    rows: int

    @property
    def count(self) -> int:
        """Return the number of training images."""
        return len(self.ids)


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters of a method with their own optimizer settings.

    `learning_rate` is the initial rate and follows the recipe's schedule and warm-up;
    `weight_decay` is constant. Settings not given are the recipe's.
    """

    parameters: Iterable[nn.Parameter]
    learning_rate: float | None = None
    weight_decay: float | None = None


@dataclass(frozen=True)
class Pretraining:
    """A part trained once per teacher, before distillation, and shared by all its students.

    `key` names everything except the teacher and the data that determines the result. `module`, a
    submodule of the method, is trained in place by `train(teacher, epochs)`; `epochs` yields
    `key["epochs"]` iterables of batches. The loop caches its state by teacher and key.
    """

    key: dict[str, Any]
    module: nn.Module
    train: Callable[[Network, Iterable[Iterable[Batch]]], None]


class Method(nn.Module):
    """A distillation method. Each subclass is in a file of the same name.

    `needs` lists what the loop must provide besides the student's outputs: `teacher`, outputs for
    `terms`; `preactivations`, the teacher's maps before activation among them (see `Network`);
    `teacher_network` and `training_images`, one call of `bind_teacher` and of
    `bind_training_images`. `label` is the row name in tables. `taught_by` is the round's teacher, a
    trained network of the student's own architecture, or nobody. `family` is what is compared and
    orders lists. These three are literals, read without torch. `capturable` states that `terms` can
    be recorded in a CUDA graph: it draws nothing on the CPU, reads no tensor's value and changes
    only buffers. `mixed_images` states that it can be trained on images mixed of two (mixup,
    CutMix): it uses no label, or both with their shares, and keeps nothing by id. It is a literal.
    """

    label: ClassVar[str]
    card: ClassVar[Card]
    family: ClassVar[str] = "custom"
    taught_by: ClassVar[TaughtBy] = "teacher"
    needs: ClassVar[frozenset[Need]] = frozenset({"teacher"})
    capturable: ClassVar[bool] = False
    mixed_images: ClassVar[bool] = False

    class Config(MethodConfig):
        """The method's parameters and their defaults."""

    def __init__(self, config: MethodConfig, student: Shapes, teacher: Shapes | None) -> None:
        super().__init__()
        self.config = config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return the published total for this configuration."""
        raise NotImplementedError

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the unweighted loss terms, each a float32 scalar.

        Called outside autocast with float32 outputs, and only if `needs` has `teacher`.
        """
        raise NotImplementedError

    def task_loss(self, student: Outputs, batch: Batch, label_smoothing: float) -> Tensor:
        """Return the term `ce`; a method may replace it."""
        return cross_entropy(student.logits, batch, label_smoothing)

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """Return the coefficients of `ce` and of each term in this epoch (0-based): phases,
        warm-ups.

        `coefficients` are those of the chosen total. A term with coefficient 0 is left out of the
        total, so parameters that only this term reaches do not change (no weight decay either).
        """
        return coefficients

    def pretraining(self) -> Pretraining | None:
        """Return the part that is trained on the teacher first, or None."""
        return None

    def parameter_groups(self) -> list[ParameterGroup]:
        """Return the method's parameters with another learning rate or weight decay.

        The others are trained like the student's.
        """
        return []

    def bind_training_images(self, images: TrainingImages) -> None:
        """Receive ids and labels, once, at the start (only if `needs` has `training_images`).

        Called before `bind_teacher` and before a checkpoint is loaded: register a memory bank as a
        buffer here. Random numbers come from the method's own stream.
        """
        raise NotImplementedError

    def bind_teacher(self, network: Network) -> None:
        """Receive the frozen teacher, once, at the start (only if `needs` has `teacher_network`).

        Copy any part of it that the method keeps; otherwise it would be trained and saved with the
        method. Random numbers come from the method's own stream.
        """
        raise NotImplementedError

    def inference_model(self, student: Network) -> nn.Module:
        """Return the network that is evaluated and saved; the default is the student."""
        return student


def cross_entropy(logits: Tensor, batch: Batch, label_smoothing: float) -> Tensor:
    """Return the mean cross entropy with a batch's labels; logits (batch, classes).

    For images mixed of two it is share * CE(label) + (1 - share) * CE(partner's label), as in mixup
    (Zhang et al. 2018, arXiv:1710.09412).
    """
    if batch.shares is None or batch.partners is None:
        return F.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
    own, other = (
        F.cross_entropy(logits, labels, label_smoothing=label_smoothing, reduction="none")
        for labels in (batch.labels, batch.partners)
    )
    return (batch.shares * own + (1 - batch.shares) * other).mean()
