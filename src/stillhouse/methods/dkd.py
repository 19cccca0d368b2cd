"""Decoupled knowledge distillation (Zhao et al. 2022, arXiv:2203.08679, equations 6 and 7).

The KL of `logit` split into the target class against the rest (`tckd`) and the other classes among
themselves (`nckd`), each with a weight of its own; form, weights and warm-up are those of the
authors' code (megvii-research/mdistiller, `distillers/DKD.py`).
"""

from __future__ import annotations

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.errors import ConfigError
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import in_full_precision
from stillhouse.methods.logit import STANDARD_WEIGHT, Logit, kd_loss, standardised
from stillhouse.methods.objective import ramped
from stillhouse.models.base import Outputs, Shapes

MIN_CLASSES = 3


@in_full_precision
def target_loss(student: Tensor, teacher: Tensor, *, labels: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL between the probabilities of the target and the rest.

    Logits are (batch, classes), labels (batch,).
    """
    exact = (logits.double() / temperature for logits in (student, teacher))  # it nearly cancels
    s, t = (_target_and_rest(logits, labels) for logits in exact)
    return (kd_loss(s, t, 1.0) * temperature**2).to(student.dtype)


@in_full_precision
def other_loss(student: Tensor, teacher: Tensor, *, labels: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL between the probabilities of the classes that are not the target."""
    return kd_loss(_others(student, labels), _others(teacher, labels), temperature)


def _target_and_rest(logits: Tensor, labels: Tensor) -> Tensor:
    target = logits.gather(1, labels[:, None]).squeeze(1)
    return torch.stack([target, _others(logits, labels).logsumexp(dim=1)], dim=1)


def _others(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the (batch, classes - 1) logits of the other classes."""
    columns = torch.arange(logits.shape[1] - 1, device=logits.device)
    return logits.gather(1, columns + (columns >= labels[:, None]))


class Dkd(Method):
    """Match the target's probability and the distribution over the other classes apart."""

    label = "DKD"
    family = "logits"
    capturable = True
    card = Card(
        formula=(
            "tckd = T^2 KL of (target, rest); nckd = T^2 KL of the other classes among themselves"
        ),
        layers="logits",
        hazards=(
            "with two classes nckd is 0 for all students: three or more are required",
            "the published nckd weight is chosen per pair: 2 (56-20, 110-32), 6 (vgg13, wrn), 8",
            "both weights are reached after `warmup` epochs only: 20, whatever the run's length",
        ),
    )

    class Config(Logit.Config):
        """The weights of the terms, times 9 with `standardise`; `warmup` epochs lead up to them."""

        tckd_weight: PositiveFloat = 1.0
        nckd_weight: PositiveFloat = 8.0
        warmup: PositiveInt = 20

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        if student.classes < MIN_CLASSES:
            raise ConfigError(
                f"dkd compares the classes other than the target, and there are {student.classes} "
                "classes in all",
                f"use `logit`, or a dataset of {MIN_CLASSES} classes or more",
            )

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + tckd + 8 nckd."""
        assert isinstance(config, cls.Config)
        scale = STANDARD_WEIGHT if config.standardise else 1.0
        weights = {"tckd": scale * config.tckd_weight, "nckd": scale * config.nckd_weight}
        return Reference(ce=1.0, weights=weights)

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """CE at once; the other terms grow linearly over the warm-up."""
        return ramped(coefficients, epoch, self.config.warmup)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms `tckd` and `nckd`."""
        s, t = student.logits, teacher.logits
        if self.config.standardise:
            s, t = standardised(s), standardised(t)
        labels, temperature = batch.labels, self.config.temperature
        return {
            "tckd": target_loss(s, t, labels=labels, temperature=temperature),
            "nckd": other_loss(s, t, labels=labels, temperature=temperature),
        }
