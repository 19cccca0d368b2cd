"""SimKD (Chen et al. 2022, arXiv:2203.14001, section 3.2): the teacher's classifier is used again.

The student's last map is projected to the teacher's, and nothing else is taught: no cross entropy.
What is evaluated and saved is the student, the projector and the teacher's frozen head. Form and
factor 2 are the authors' (DefangChen/SimKD, `models/util.py`).
"""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from stillhouse.data.base import Batch
from stillhouse.errors import ConfigError
from stillhouse.methods.base import Card, Method, MethodConfig, Reference
from stillhouse.methods.connectors import (
    Frozen,
    MapShape,
    in_full_precision,
    map_shape,
    pool_to_smaller,
    projection,
)
from stillhouse.models.base import Network, Outputs, Shapes


@in_full_precision
def match_loss(projected: Tensor, teacher: Tensor) -> Tensor:
    """Return the mean squared difference of two maps; the teacher's larger one is pooled."""
    return F.mse_loss(*pool_to_smaller(projected, teacher))


class ReusedClassifier(Network):
    """A student, its projector and the teacher's head: what SimKD evaluates.

    Features are the student's, then `projected` and its mean `pooled`, which the head reads.
    """

    def __init__(
        self, student: Network, layer: str, teacher: MapShape, projector: nn.Module, head: Frozen
    ) -> None:
        super().__init__()
        self.student, self.projector, self.head = student, projector, head
        self.groups, self.layer, self.size = student.groups, layer, teacher[1:]

    def forward(self, images: Tensor) -> Outputs:
        """Map images (batch, channels, height, width) to `Outputs`."""
        features = dict(self.student(images).features)
        features["projected"] = project(self.projector, features[self.layer], self.size)
        features["pooled"] = features["projected"].mean(dim=(2, 3))
        return Outputs(self.head(features["pooled"]), features)


def project(projector: nn.Module, x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the projected map (batch, channels, h, w), pooled first to `size` if it is larger."""
    size = (min(x.shape[2], size[0]), min(x.shape[3], size[1]))
    x = x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size)
    projected: Tensor = projector(x)
    return projected


class Simkd(Method):
    """Match the teacher's last map through a projector, and classify it with the teacher's head."""

    label = "SimKD"
    family = "maps"
    mixed_images = True
    capturable = True
    needs = frozenset({"teacher", "teacher_network"})
    card = Card(
        formula="match = mean (P(F_s) - F_t)^2; logits are head_t(mean P(F_s)); no CE",
        layers="the student's last group, the map whose mean is the teacher's `pooled`",
        hazards=(
            "the evaluated network is larger: its parameters are those with projector and head",
            "the projector ends in ReLU: a teacher's map with negative values cannot be matched",
            "training loss `ce` and training accuracy are those of the student's own, untrained "
            "head",
        ),
    )

    class Config(MethodConfig):
        """`weight` of the term; the projector is `factor` times narrower than the teacher's map."""

        weight: PositiveFloat = 1.0
        factor: PositiveInt = 2

    config: Config

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        if teacher.pooled_map is None:
            raise ConfigError(
                "simkd uses the teacher's head on a map, but the mean of none of this teacher's "
                f"maps ({', '.join(n for n, s in teacher.features.items() if len(s) == 3)}) is its "
                "`pooled`",
                "give the network a feature map of which `pooled` is the mean over positions",
            )
        self.layer, self.teacher_layer = student.groups[-1], teacher.pooled_map
        self.teacher_map = map_shape(teacher, self.teacher_layer, "teacher")
        made = self.teacher_map[0]
        middle = max(1, made // config.factor)
        before = map_shape(student, self.layer, "student")[0]
        self.projector = projection(before, middle, middle, made, kernels=(1, 3, 1))

    def bind_teacher(self, network: Network) -> None:
        """Keep a frozen copy of the teacher's head."""
        self.head = Frozen(network.head)

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return match alone."""
        assert isinstance(config, cls.Config)
        return Reference(ce=0.0, weights={"match": config.weight})

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `match`."""
        projected = project(self.projector, student.features[self.layer], self.teacher_map[1:])
        return {"match": match_loss(projected, teacher.features[self.teacher_layer])}

    def inference_model(self, student: Network) -> ReusedClassifier:
        """Return the student with the projector and the teacher's head."""
        return ReusedClassifier(student, self.layer, self.teacher_map, self.projector, self.head)
