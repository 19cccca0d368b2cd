"""Probabilistic knowledge transfer (Passalis and Tefas 2018, arXiv:1803.10837, section 3).

The form is the authors' (passalis/probabilistic_kt, copied in RepDistiller, `PKT.py`), the weight
30000 and the cross entropy beside it are the CRD benchmark's. Differences of probabilities near
1 / B lose 1e-4 to 1e-3 of the value in float32, so it is computed in float64.
"""

from __future__ import annotations

import torch
from pydantic import PositiveFloat
from torch import Tensor

from stillhouse.data.base import Batch
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import in_full_precision
from stillhouse.models.base import Outputs

EPSILON = 1e-7


@in_full_precision
def transfer_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean over B x B of p_t log(p_t / p_s); embeddings are (batch, channels)."""
    p, q = neighbourhoods(student.double()), neighbourhoods(teacher.double())
    loss: Tensor = (q * ((q + EPSILON) / (p + EPSILON)).log()).mean()
    return loss.to(student.dtype)


def neighbourhoods(x: Tensor) -> Tensor:
    """Return (batch, batch) probabilities, each row in proportion to (cosine + 1) / 2."""
    unit = x / (torch.linalg.vector_norm(x, dim=1, keepdim=True) + EPSILON)
    similar = (unit @ unit.T + 1) / 2
    rows: Tensor = similar / similar.sum(dim=1, keepdim=True)
    return rows


class Pkt(Method):
    """Match which images of a batch are near each other in embedding space."""

    label = "PKT"
    family = "embeddings"
    mixed_images = True
    capturable = True
    card = Card(
        formula="pkt = mean over B x B of p_t log(p_t / p_s), p rows of (cosine + 1) / 2",
        layers="`pooled` of each",
        hazards=(
            "float32 loses 1e-4 to 1e-3 of the value: it is computed in float64",
            "embeddings behind a ReLU have cosines of 0 to 1: the probabilities differ little",
        ),
    )

    class Config(MethodConfig):
        """`weight` of the term."""

        weight: PositiveFloat = 30_000.0

    config: Config

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + 30000 pkt."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={"pkt": config.weight})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `pkt`."""
        s, t = student.features["pooled"], teacher.features["pooled"]
        return {"pkt": transfer_loss(s, t)}
