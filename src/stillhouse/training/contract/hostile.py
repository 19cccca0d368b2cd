"""Inputs that break a careless loss; a step must still give finite gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from torch import Tensor

from stillhouse.config.schema import Precision
from stillhouse.data.base import Batch
from stillhouse.models.base import Outputs
from stillhouse.training.contract.loss import PRECISIONS
from stillhouse.training.contract.setup import MethodCase
from stillhouse.training.contract.verdict import require

SATURATED = 1e4
Thing = TypeVar("Thing")


def _as_it_is(thing: Thing) -> Thing:
    return thing


@dataclass(frozen=True)
class Hostile:
    """The change to a batch, and to the outputs of student and teacher."""

    batch: Callable[[Batch], Batch] = _as_it_is
    features: Callable[[Tensor], Tensor] = _as_it_is
    logits: Callable[[Tensor], Tensor] = _as_it_is

    @property
    def spoils_outputs(self) -> bool:
        """Return whether it can occur in one network without the other."""
        return self.batch is _as_it_is

    def outputs(self, outputs: Outputs) -> Outputs:
        """Return float32 outputs with the hostile change."""
        plain = outputs.float()
        features = {name: self.features(value) for name, value in plain.features.items()}
        return Outputs(self.logits(plain.logits), features)


def _rows(batch: Batch, rows: list[int]) -> Batch:
    return Batch(batch.images[rows], batch.labels[rows], batch.ids[rows])


def _all_as_the_first(x: Tensor) -> Tensor:
    return x[:1].expand_as(x)


def _zero(x: Tensor) -> Tensor:
    return x - x.detach()  # keeps the gradient


def _saturated(x: Tensor) -> Tensor:
    return x + (SATURATED * x - x).detach()


INPUTS = {
    "identical embeddings": Hostile(features=_all_as_the_first, logits=_all_as_the_first),
    "zero features": Hostile(features=_zero),
    "saturated logits": Hostile(logits=_saturated),
    "a batch of one": Hostile(lambda batch: _rows(batch, [0])),
    "a batch of two": Hostile(lambda batch: _rows(batch, [0, 1])),
    "one class": Hostile(lambda batch: replace(batch, labels=batch.labels * 0)),
    "duplicate images": Hostile(lambda batch: _rows(batch, [0, 0, 1, 1])),
}


def gradients_stay_finite(case: MethodCase, hostile: Hostile) -> None:
    """Gradients are finite in every precision; in float32 also for one network alone."""
    for precision in PRECISIONS:
        _step(case, hostile, precision, student=True, teacher=True)
    if hostile.spoils_outputs:
        _step(case, hostile, "fp32", student=True, teacher=False)
        _step(case, hostile, "fp32", student=False, teacher=True)


def _step(
    case: MethodCase, hostile: Hostile, precision: Precision, student: bool, teacher: bool
) -> None:
    setup = case.setup()
    setup.batch = hostile.batch(setup.batch)
    for network, spoiled in ((setup.student, student), (setup.teacher, teacher)):
        if spoiled:
            network.register_forward_hook(lambda module, images, given: hostile.outputs(given))
    trainer = setup.trainer(precision)
    setup.step(trainer)
    gradients = [p.grad for p in trainer.parameters if p.grad is not None]
    finite = all(bool(gradient.isfinite().all()) for gradient in gradients)
    require(finite, f"{precision}: a gradient is not finite")


CHECKS: dict[str, Callable[[MethodCase], None]] = {
    f"finite gradients: {name}": partial(gradients_stay_finite, hostile=hostile)
    for name, hostile in INPUTS.items()
}
