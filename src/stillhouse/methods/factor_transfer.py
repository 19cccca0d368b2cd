"""Factor transfer (Kim et al. 2018, arXiv:1802.04977, section 3).

Variant `official` is the authors' code (Jangho-Kim/Factor-Transfer-pytorch), weight 500. `crd`
is what the CRD benchmark (Tian et al. 2020; RepDistiller, `distiller_zoo/FT.py`) reports under
the name: it compares attention maps of the factors, weight 200, translator with batch norm. The
two are different losses; the benchmark's accuracies are those of `crd`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from stillhouse.data.base import Batch
from stillhouse.errors import TrainingError
from stillhouse.methods.base import Card, Method, MethodConfig, Pretraining, Reference
from stillhouse.methods.connectors import (
    LayerPair,
    in_full_precision,
    map_shape,
    pair_groups,
    pool_to_smaller,
)
from stillhouse.models.base import Network, Outputs, Shapes

SLOPE = 0.1
EPSILON = 1e-8
MOMENTUM = 0.9
WEIGHT_DECAY = 5e-4
GRADIENT_BOUND = 10.0  # trained teachers stay below; an untrained one can diverge without it


@dataclass(frozen=True)
class Recipe:
    """Differences between the variants besides their loss."""

    weight: float
    translator_norm: bool
    reconstruction: Literal["l1", "mse"]
    learning_rate: float
    epochs: int


RECIPES = {
    "official": Recipe(500.0, False, "l1", 0.1, 5),
    "crd": Recipe(200.0, True, "mse", 0.01, 30),
}
RECONSTRUCTION: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": F.l1_loss,
    "mse": F.mse_loss,
}


@in_full_precision
def factor_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean absolute difference of L2-normalised (batch, c, h, w) factors (equation 4).

    Both have equal c; the larger map is average-pooled.
    """
    student, teacher = pool_to_smaller(student, teacher)
    return F.l1_loss(_unit(student.flatten(1)), _unit(teacher.flatten(1)))


@in_full_precision
def crd_factor_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean absolute difference of the factors' attention maps (CRD benchmark)."""
    student, teacher = pool_to_smaller(student, teacher)
    attention_s, attention_t = (x.square().mean(dim=1).flatten(1) for x in (student, teacher))
    return F.l1_loss(_unit(attention_s), _unit(attention_t))


def _unit(x: Tensor) -> Tensor:
    return F.normalize(x, eps=EPSILON)


def encoder(channels: int, factors: int, norm: bool = False) -> nn.Sequential:
    """Three 3x3 convolutions with leaky ReLU from a map's channels to its factors."""
    steps = [(channels, channels), (channels, factors), (factors, factors)]
    return nn.Sequential(*(_layer(nn.Conv2d(*step, 3, padding=1), norm) for step in steps))


def _layer(conv: nn.Conv2d | nn.ConvTranspose2d, norm: bool = False) -> nn.Sequential:
    normed = [nn.BatchNorm2d(conv.out_channels)] if norm else []
    return nn.Sequential(conv, *normed, nn.LeakyReLU(SLOPE))


class Paraphraser(nn.Module):
    """A convolutional autoencoder whose code is the teacher's factors; no batch norm."""

    def __init__(self, channels: int, factors: int) -> None:
        super().__init__()
        self.encoder = encoder(channels, factors)
        steps = [(factors, factors), (factors, channels), (channels, channels)]
        self.decoder = nn.Sequential(
            *(_layer(nn.ConvTranspose2d(*step, 3, padding=1)) for step in steps)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct a map (batch, channels, h, w)."""
        reconstructed: Tensor = self.decoder(self.encoder(x))
        return reconstructed


class FactorTransfer(Method):
    """Match the student's translated last map to the factors of the teacher's.

    The paraphraser is trained once per teacher and then frozen in eval mode; the translator is
    trained with the student.
    """

    label = "Factor Transfer"
    family = "maps"
    mixed_images = True
    capturable = True
    card = Card(
        formula=(
            "official: factor = mean |unit(T(F_s)) - unit(P(F_t))|, unit over the whole "
            "map; crd: of their maps mean_c(.^2)"
        ),
        layers="the last group of each, or the pair in `layers`",
        hazards=(
            (
                "the two variants are different losses; the CRD benchmark's accuracies are "
                "those of `crd`"
            ),
            (
                "the paraphraser is trained once per teacher, before the first student, and "
                "adds that time once"
            ),
        ),
    )

    class Config(MethodConfig):
        """`rate` is factors per teacher channel; `layers` is (student's, teacher's) map.

        `layers` are the last groups if not given; `weight` and `paraphraser_epochs` are the
        variant's: 500 and 5 (`official`), 200 and 30 (`crd`).
        """

        variant: Literal["official", "crd"] = "official"
        weight: PositiveFloat | None = None
        rate: Annotated[float, Field(gt=0, le=1)] = 0.5
        layers: LayerPair | None = None
        paraphraser_epochs: Annotated[PositiveInt, Field(le=10**6)] | None = None

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        chosen = config.layers or (student.groups[-1], teacher.groups[-1])
        ((self.student_layer, self.teacher_layer),) = pair_groups(student, teacher, [chosen])
        self.recipe = RECIPES[config.variant]
        channels = map_shape(teacher, self.teacher_layer, "teacher")[0]
        factors = max(1, round(channels * config.rate))
        self.translator = encoder(
            map_shape(student, self.student_layer, "student")[0],
            factors,
            self.recipe.translator_norm,
        )
        self.paraphraser = Paraphraser(channels, factors).requires_grad_(False).eval()
        self.loss = factor_loss if config.variant == "official" else crd_factor_loss

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 500 (`official`) or 200 (`crd`) times the factor loss."""
        assert isinstance(config, cls.Config)
        return Reference(
            ce=1.0, weights={"factor": config.weight or RECIPES[config.variant].weight}
        )

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `factor`."""
        translated = self.translator(student.features[self.student_layer])
        with torch.no_grad():
            factors = self.paraphraser.encoder(teacher.features[self.teacher_layer])
        return {"factor": self.loss(translated, factors)}

    def train(self, mode: bool = True) -> FactorTransfer:
        """Set the mode of all parts except the paraphraser, which stays in eval mode."""
        super().train(mode)
        self.paraphraser.eval()
        return self

    def pretraining(self) -> Pretraining:
        """Return the paraphraser, which is trained to reconstruct the teacher's map."""
        key = {
            **asdict(self.recipe),
            "epochs": self.config.paraphraser_epochs or self.recipe.epochs,
            "rate": self.config.rate,
            "layer": self.teacher_layer,
        }
        del key["weight"], key["translator_norm"]
        return Pretraining(key, self.paraphraser, self._train_paraphraser)

    def _train_paraphraser(self, teacher: Network, epochs: Iterable[Iterable[Batch]]) -> None:
        distance = RECONSTRUCTION[self.recipe.reconstruction]
        parameters = list(self.paraphraser.requires_grad_().parameters())
        optimizer = torch.optim.SGD(
            parameters, self.recipe.learning_rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
        )
        for number, batches in enumerate(epochs):
            for batch in batches:
                with torch.no_grad():
                    features = teacher(batch.images).features[self.teacher_layer]
                loss = distance(self.paraphraser(features), features)
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                nn.utils.clip_grad_norm_(parameters, GRADIENT_BOUND)
                optimizer.step()
            if not torch.isfinite(loss):
                raise TrainingError(
                    f"the paraphraser's loss is {loss:g} in epoch {number}", code="divergence"
                )
        self.paraphraser.requires_grad_(False)
