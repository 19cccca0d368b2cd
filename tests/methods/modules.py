"""Methods with modules of their own, with the golden values' weights, as losses of two tensors."""

from __future__ import annotations

from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.formulas import Loss, draw, fill
from stillhouse.data.base import Batch
from stillhouse.methods.base import Method, TrainingImages
from stillhouse.methods.crd import Crd
from stillhouse.methods.reviewkd import Reviewkd
from stillhouse.methods.simkd import Simkd
from stillhouse.methods.srrl import Srrl
from stillhouse.models.base import Outputs, Shapes

CLASSES, IMAGES = 10, 20
Shape = tuple[int, ...]


def shapes(map_shape: Shape, *more: tuple[str, Shape]) -> Shapes:
    """One group, or more, and the mean of the first as `pooled`."""
    features = {"layer1": map_shape, **dict(more), "pooled": map_shape[:1]}
    groups = tuple(name for name in ("layer1", "layer2") if name in features)
    return Shapes(CLASSES, features, groups, "layer1")


def outputs(x: Tensor, head: nn.Module | None = None) -> Outputs:
    """The map, the map at half its size, their mean, and the logits of a head."""
    features = {"layer1": x, "layer2": F.avg_pool2d(x, 2), "pooled": x.mean(dim=(2, 3))}
    logits = x.new_zeros(len(x), CLASSES) if head is None else head(features["pooled"])
    return Outputs(logits, features)


def total(method: Method, student: Outputs, teacher: Outputs, batch: Batch | None = None) -> Tensor:
    """The sum of a method's terms."""
    found = method.terms(student, teacher, batch or SimpleNamespace())  # type: ignore[arg-type]
    return torch.stack([*found.values()]).sum()


class SimkdTerms(Srrl):
    """The variant `simkd` without the KD that is added to it."""

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        found = super().terms(student, teacher, batch)
        return {name: value for name, value in found.items() if name != "kd"}


def with_head(
    kind: type[Srrl] | type[Simkd], student: Shape, teacher: Shape, **options: str
) -> Loss:
    """SRRL or SimKD, with weights 1 of the module and 2 of the teacher's head."""
    method = kind(kind.Config(**options), shapes(student[1:]), shapes(teacher[1:])).double().train()
    fill(method, 1)
    head = fill(nn.Linear(teacher[1], CLASSES).double(), 2)
    method.bind_teacher(SimpleNamespace(head=head))  # type: ignore[arg-type]
    return lambda s, t: total(method, outputs(s), outputs(t, head))


def review(student: Shape, teacher: Shape) -> Loss:
    """ReviewKD on two groups and `pooled`, with weights 1."""
    learns, teaches = (
        shapes(shape[1:], ("layer2", (shape[1], shape[2] // 2, shape[3] // 2)))
        for shape in (student, teacher)
    )
    method = Reviewkd(Reviewkd.Config(), learns, teaches).double().train()
    fill(method, 1)
    return lambda s, t: total(method, outputs(s), outputs(t))


def contrast(student: Shape, teacher: Shape) -> Loss:
    """CRD's second step on the same batch, with banks and negatives of its own."""
    method = Crd(
        Crd.Config(), *(Shapes(CLASSES, {"pooled": shape[1:]}, ()) for shape in (student, teacher))
    )
    labels = torch.arange(IMAGES) % CLASSES
    method.bind_training_images(TrainingImages(torch.arange(IMAGES), labels, IMAGES))
    method.double().train()
    fill(method.embed_s, 1)
    fill(method.embed_t, 2)
    banks = banks_and_negatives(student[0])
    rows = torch.arange(student[0])
    batch = Batch(torch.empty(0), labels[rows], rows)
    method.draw = lambda labels: banks[2]  # type: ignore[method-assign]

    def loss(s: Tensor, t: Tensor) -> Tensor:
        method.bank_s.copy_(banks[0])
        method.bank_t.copy_(banks[1])
        method.z_s.fill_(-1)
        method.z_t.fill_(-1)
        pair = [Outputs(x.new_zeros(len(x), CLASSES), {"pooled": x}) for x in (s, t)]
        total(method, *pair, batch)
        return total(method, *pair, batch)

    return loss


def banks_and_negatives(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Two banks (20, 128), and 7 negatives (count, 7) for each image."""
    first, second = draw(50, (IMAGES, 128), (IMAGES, 128), rectified=False)
    rows = torch.arange(count)[:, None]
    return 0.1 * first, 0.1 * second, (rows + 1 + 2 * torch.arange(7)) % IMAGES


MODULES = {
    "srrl": lambda s, t: with_head(Srrl, s, t),
    "simkd": lambda s, t: with_head(Simkd, s, t),
    "reviewkd": review,
    "crd": contrast,
}
