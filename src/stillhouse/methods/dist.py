"""DIST (Huang et al. 2022, arXiv:2205.10536, equations 8 to 11): correlation in place of KL.

Weight 2 and T = 4 are the authors' for CIFAR-100 (hunto/DIST_KD); for ImageNet they set T = 1.
Every term is multiplied by T^2, as in zkxufo/TTM (`distiller_zoo/dist.py`).
"""

from __future__ import annotations

from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import in_full_precision
from stillhouse.models.base import Outputs

EPSILON = 1e-8  # added to the product of norms, as published


@in_full_precision
def inter_loss(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Return T^2 times 1 - the mean correlation, over classes, of each image's probabilities.

    Logits are (batch, classes).
    """
    s, t = ((logits / temperature).softmax(dim=1) for logits in (student, teacher))
    return temperature**2 * (1 - correlation(s, t).mean())


@in_full_precision
def intra_loss(student: Tensor, teacher: Tensor, *, temperature: float) -> Tensor:
    """Return T^2 times 1 - the mean correlation, over the batch, of each class's probabilities."""
    s, t = ((logits / temperature).softmax(dim=1) for logits in (student, teacher))
    return temperature**2 * (1 - correlation(s.T, t.T).mean())


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Return Pearson's correlation of each row of a with that of b; 0 for a constant row."""
    a, b = a - a.mean(dim=1, keepdim=True), b - b.mean(dim=1, keepdim=True)
    found: Tensor = (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1) + EPSILON)
    return found


class Dist(Method):
    """Match which classes an image prefers, and which images a class prefers."""

    label = "DIST"
    family = "logits"
    mixed_images = True
    capturable = True
    card = Card(
        formula=(
            "inter = T^2 (1 - mean correlation of rows of softmax(z / T)); intra = the same of "
            "columns"
        ),
        layers="logits",
        hazards=(
            "intra sees the batch: it has no gradient at a batch of one and other sizes teach more "
            "or less",
            "the authors' class defaults to T = 1 and weight 1, which are not the published values",
        ),
    )

    class Config(MethodConfig):
        """`temperature` softens both distributions; the weights of the two terms."""

        temperature: PositiveFloat = 4.0
        inter_weight: PositiveFloat = 2.0
        intra_weight: PositiveFloat = 2.0

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 2 inter + 2 intra."""
        assert isinstance(config, cls.Config)
        weights = {"inter": config.inter_weight, "intra": config.intra_weight}
        return Reference(ce=1.0, weights=weights)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the terms `inter` and `intra`."""
        s, t, temperature = student.logits, teacher.logits, self.config.temperature
        return {
            "inter": inter_loss(s, t, temperature=temperature),
            "intra": intra_loss(s, t, temperature=temperature),
        }
