"""Matched logits (Ba and Caruana 2014, arXiv:1312.6184, equation 1), beside cross entropy."""

from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.models.base import Outputs


class OwnMethod(Method):
    """Draw the student's logits to the teacher's."""

    label = "Matched logits"
    card = Card("match = sum over classes of (z_s - z_t)^2 / 2, mean over the batch", "logits", ())

    class Config(MethodConfig):
        """`weight` of the term; the paper trains on the term alone."""

        weight: PositiveFloat = 0.1

    config: Config

    @classmethod
    def reference(cls, config: Config) -> Reference:
        """CE + weight * match."""
        return Reference(ce=1.0, weights={"match": config.weight})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """The term `match`."""
        return {"match": (student.logits - teacher.logits).square().sum(dim=1).mean() / 2}
