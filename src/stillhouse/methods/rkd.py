"""Relational knowledge distillation (Park et al. 2019, arXiv:1904.05068, equations 4-8).

The form is that of the authors' code (lenscloth/RKD, `metric/loss.py`). Weights 25 and 50 are the
authors' for classification (issue 6 there), which the CRD benchmark shares.

Both terms are computed from the Gram matrix of the centred embeddings, so there is no (batch,
batch, dim) tensor. |a|^2 + |b|^2 - 2ab loses digits that the two points share, hence float64 from
the Gram matrix on; the cost of that does not depend on the dimension.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.errors import unknown_name
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import in_full_precision
from stillhouse.models.base import Outputs, Shapes

FLOOR = 1e-6  # the smallest distance, the square root of the authors' 1e-12
COINCIDENT = (
    1e-12  # squared distance, relative to the squared norms, below which it is rounding error
)
CHUNK, CUDA_CHUNK = 2**17, 2**21  # cosines per chunk: fits into a cache, needs few launches


@in_full_precision
def distance_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return smooth L1 of the pairwise distances of (batch, ...) embeddings, each over its mean.

    Coincident points have distance 1e-6 and no gradient; a batch of one has loss 0.
    """
    with torch.no_grad():
        target = relative_distances(gram(teacher))
    return F.smooth_l1_loss(relative_distances(gram(student)), target).to(student.dtype)


@in_full_precision
def angle_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return smooth L1 of the cosines of all angles of triplets of (batch, ...) embeddings.

    Angles at or towards a coincident point have cosine 0, like a zero difference in the published
    form.
    """
    loss: Tensor = _AngleLoss.apply(gram(student), gram(teacher))
    return loss.to(student.dtype)


class _AngleLoss(torch.autograd.Function):
    """Compute the loss from two Gram matrices, a few vertices at a time, with its gradient.

    No (batch, batch, batch) tensor outlives its chunk, and none is computed twice.
    """

    @staticmethod
    def forward(ctx: Any, student: Tensor, teacher: Tensor) -> Tensor:
        count, needed = len(student), ctx.needs_input_grad[0]
        total, gradient = student.new_zeros(()), torch.zeros_like(student)
        leaf = student.detach().requires_grad_(needed)
        chunk = CUDA_CHUNK if student.device.type == "cuda" else CHUNK
        size = max(1, chunk // count**2)
        for start in range(0, count, size):
            some = slice(start, start + size)
            target = cosines(teacher, some)
            with torch.set_grad_enabled(needed):
                part = F.smooth_l1_loss(cosines(leaf, some), target, reduction="sum")
            if needed:
                gradient += torch.autograd.grad(part, leaf)[0]
            total += part.detach()
        ctx.save_for_backward(gradient / count**3)
        return total / count**3

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return outer[0] * gradient, None


def gram(embeddings: Tensor) -> Tensor:
    """Return inner products (batch, batch), float64, of centred (batch, ...) embeddings."""
    centred = embeddings.flatten(1).double()
    centred = centred - centred.mean(dim=0)
    return centred @ centred.T


def squared_distances(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Return squared distances (batch, batch) and which pairs are distinct; 1 for the others."""
    squares = gram.diagonal()
    sums = squares[:, None] + squares[None, :]
    squared = sums - 2 * gram
    apart = squared > (COINCIDENT * sums).clamp_min(FLOOR**2)
    apart = apart & ~torch.eye(len(gram), dtype=torch.bool, device=gram.device)
    return torch.where(apart, squared, 1.0), apart


def relative_distances(gram: Tensor) -> Tensor:
    """Return distances (batch, batch) over their mean off the diagonal; the diagonal is 0."""
    squared, apart = squared_distances(gram)
    count = len(gram)
    distances = torch.where(apart, squared.sqrt(), FLOOR).fill_diagonal_(0)
    return distances / (distances.sum() / max(1, count * (count - 1))).clamp_min(FLOOR)


def cosines(gram: Tensor, vertices: slice) -> Tensor:
    """Return the cosines (vertices, batch, batch) of the angles i-vertex-k."""
    squared, apart = squared_distances(gram)
    inverse = torch.where(apart, squared.rsqrt(), 0.0)[vertices]
    rows = gram[vertices]
    products = gram - rows[:, :, None] - rows[:, None, :]
    products = products + gram.diagonal()[vertices, None, None]
    return products * inverse[:, :, None] * inverse[:, None, :]


class Rkd(Method):
    """Match distances and angles within the batch in embedding space."""

    label = "RKD"
    family = "embeddings"
    mixed_images = True
    capturable = True
    card = Card(
        formula=(
            "distance = smooth L1 of pairwise distances over their mean; angle = smooth "
            "L1 of triplet cosines"
        ),
        layers="`pooled` of each, or the feature in `embedding`",
        hazards=(
            "a plain square root gives NaN gradients at coincident points; here they have none",
            "cost grows with the cube of the batch; a smaller batch has fewer relations to teach",
        ),
    )

    class Config(MethodConfig):
        """The weights of the two terms; `embedding` names the feature compared."""

        distance_weight: PositiveFloat = 25.0
        angle_weight: PositiveFloat = 50.0
        embedding: str = "pooled"

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        for network, shapes in (("student", student), ("teacher", teacher)):
            if config.embedding not in shapes.features:
                raise unknown_name(f"{network} feature", config.embedding, shapes.features)

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 25 distance + 50 angle."""
        assert isinstance(config, cls.Config)
        weights = {"distance": config.distance_weight, "angle": config.angle_weight}
        return Reference(ce=1.0, weights=weights)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms `distance` and `angle`."""
        s, t = (outputs.features[self.config.embedding] for outputs in (student, teacher))
        return {"distance": distance_loss(s, t), "angle": angle_loss(s, t)}
