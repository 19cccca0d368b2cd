"""Contrastive representation distillation (Tian et al. 2020, arXiv:1910.10699, equations 17-19).

Each image's embedding is to be told from those of many others, which a memory bank keeps: the
student's against the teacher's bank, and the other way round. The form and all constants are the
authors' (HobbitLong/RepDistiller, `crd/`): negatives are images of other classes, drawn without
replacement. Their scores come from one matrix product with the bank, not from a copy of its rows.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from stillhouse.data.augment import send
from stillhouse.data.base import Batch
from stillhouse.errors import ConfigError
from stillhouse.methods.base import Card, Method, MethodConfig, Reference, TrainingImages
from stillhouse.methods.connectors import in_full_precision, linear_embeddings
from stillhouse.models.base import Outputs, Shapes

EPSILON = 1e-7


@in_full_precision
def contrast_loss(scores: Tensor, *, images: int) -> Tensor:
    """Return the noise contrastive loss of (batch, 1 + negatives) scores, the positive's first.

    Noise is uniform over so many images (equation 18).
    """
    noise = (scores.shape[1] - 1) / images
    positive, negatives = scores[:, 0], scores[:, 1:]
    found = (positive / (positive + noise + EPSILON)).log()
    refused = (noise / (negatives + noise + EPSILON)).log()
    return -(found.sum() + refused.sum()) / len(scores)


class Crd(Method):
    """Tell an image's embedding from those of other images, across the two networks."""

    label = "CRD"
    family = "embeddings"
    needs = frozenset({"teacher", "training_images"})
    card = Card(
        formula=(
            "crd = NCE of exp(s . m_t / T) / Z + NCE of exp(t . m_s / T) / Z, 1 positive and k "
            "negatives each"
        ),
        layers="`pooled` of each, through trained linear maps to 128 dimensions, L2-normalised",
        hazards=(
            "negatives are drawn from other classes, so the training labels are used",
            "with fewer images than `negatives` all that there are are used, and weigh less",
            "Z is the first batch's mean times the number of images, and never changes",
            "the two banks (images x 128) are in every checkpoint: 51 MB for 50,000 images",
        ),
    )

    class Config(MethodConfig):
        """`weight` of the term; `temperature` divides scores; `momentum` keeps the banks.

        `negatives_from` is `other_classes`, or `all` images with replacement.
        """

        weight: PositiveFloat = 0.8
        temperature: PositiveFloat = 0.07
        momentum: Annotated[float, Field(ge=0, lt=1)] = 0.5
        embedding_size: PositiveInt = 128
        negatives: PositiveInt = 16_384
        negatives_from: Literal["other_classes", "all"] = "other_classes"

    config: Config
    row_of: Tensor
    order: Tensor
    starts: Tensor
    counts: Tensor
    bank_s: Tensor
    bank_t: Tensor
    z_s: Tensor
    z_t: Tensor

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        self.embed_s, self.embed_t = linear_embeddings(student, teacher, config.embedding_size)

    def bind_training_images(self, images: TrainingImages) -> None:
        """Make the banks, one row per training image, and sort the images by class."""
        self.images = images.count
        counts = torch.bincount(images.labels)
        self.others = images.count - int(counts.max())
        if self.config.negatives_from == "other_classes" and not self.others:
            raise ConfigError(
                "crd takes negatives from other classes, and all training images are of one",
                "set `negatives_from: all`, or train on more classes",
            )
        row_of = torch.full((images.rows,), -1, dtype=torch.int64)
        row_of[images.ids] = torch.arange(images.count)
        self.register_buffer("row_of", row_of)
        self.register_buffer("order", images.labels.argsort(stable=True))
        self.register_buffer("starts", counts.cumsum(0) - counts)
        self.register_buffer("counts", counts)
        reach = 1 / math.sqrt(self.config.embedding_size / 3)
        for name in ("s", "t"):
            drawn = torch.rand(images.count, self.config.embedding_size)
            self.register_buffer(f"bank_{name}", (2 * drawn - 1) * reach)
            self.register_buffer(f"z_{name}", torch.tensor(-1.0))

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 0.8 crd."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"crd": config.weight})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `crd`; in training mode the banks take over this batch."""
        s = F.normalize(self.embed_s(student.features["pooled"]))
        t = F.normalize(self.embed_t(teacher.features["pooled"]))
        rows = self.row_of[batch.ids]
        chosen = torch.cat([rows[:, None], self.draw(batch.labels)], dim=1)
        scores_s, scores_t = (
            (embedded @ bank.clone().T).gather(1, chosen).div(self.config.temperature).exp()
            for embedded, bank in ((s, self.bank_t), (t, self.bank_s))
        )
        loss = contrast_loss(self._normalised(scores_s, self.z_s), images=self.images)
        loss = loss + contrast_loss(self._normalised(scores_t, self.z_t), images=self.images)
        if self.training:
            self._remember(self.bank_s, rows, s.detach())
            self._remember(self.bank_t, rows, t.detach())
        return {"crd": loss}

    def draw(self, labels: Tensor) -> Tensor:
        """Draw the banks' rows of the negatives (batch, k) on the CPU, without reading a label.

        As many candidates as the rarest choice of other classes has are drawn without replacement;
        a rotation drawn for each image gives all candidates of its class the same chance.
        """
        count = len(labels)
        if self.config.negatives_from == "all":
            size = (count, min(self.config.negatives, self.images))
            return send(torch.randint(self.images, size), labels.device)
        k = min(self.config.negatives, self.others)
        drawn = torch.stack([torch.randperm(self.others)[:k] for _ in range(count)])
        candidates, turn = send(drawn, labels.device), send(torch.rand(count), labels.device)
        own, start = self.counts[labels][:, None], self.starts[labels][:, None]
        others = self.images - own
        turned = (candidates + (turn[:, None] * others).long()) % others
        return self.order[turned + (turned >= start) * own]

    def _normalised(self, scores: Tensor, z: Tensor) -> Tensor:
        """Divide by Z, which is the first batch's."""
        first = scores.detach().mean() * self.images
        found = torch.where(z < 0, first, z)
        if self.training:
            z.copy_(found)
        return scores / found

    def _remember(self, bank: Tensor, rows: Tensor, embedded: Tensor) -> None:
        keep = self.config.momentum
        bank[rows] = F.normalize(bank[rows] * keep + embedded * (1 - keep))
