"""Correlation congruence (Peng et al. 2019, arXiv:1904.01802) as the CRD benchmark has it.

The form and the weight 0.02 are RepDistiller's (`CC.py`, from the authors): the product of one
image's distance to its target with the next image's, in a linear embedding of both networks. The
paper's own loss compares Gaussian kernels of whole batches, and is another one.
"""

from __future__ import annotations

from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import in_full_precision, linear_embeddings
from stillhouse.models.base import Outputs, Shapes


@in_full_precision
def congruence_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over neighbours in the batch of |d_i| . |d_(i+1)|.

    d is the difference of the (batch, n) embeddings. A batch of one has no neighbours: loss 0.
    """
    apart = (student - teacher).abs()
    return (apart[:-1] * apart[1:]).sum() / max(1, len(apart) - 1)


class Cc(Method):
    """Match linear embeddings of both networks, weighed by how far the next image's are apart."""

    label = "CC"
    family = "embeddings"
    mixed_images = True
    capturable = True
    card = Card(
        formula="cc = mean_i sum_n |E(s_i) - E(t_i)| |E(s_(i+1)) - E(t_(i+1))|, i in batch order",
        layers="`pooled` of each, through trained linear maps to 128 dimensions",
        hazards=(
            "both embeddings are trained: they lower the loss by shrinking, without the student",
            "which images are neighbours is the order of the batch",
            "the paper's Gaussian kernel (gamma 0.4, order 2, weight 0.003) is another loss",
        ),
    )

    class Config(MethodConfig):
        """`weight` of the term; `embedding_size` is what both `pooled` are mapped to."""

        weight: PositiveFloat = 0.02
        embedding_size: PositiveInt = 128

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        self.student_embedding, self.teacher_embedding = linear_embeddings(
            student, teacher, config.embedding_size
        )

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 0.02 cc."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"cc": config.weight})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `cc`."""
        s = self.student_embedding(student.features["pooled"])
        t = self.teacher_embedding(teacher.features["pooled"])
        return {"cc": congruence_loss(s, t)}
