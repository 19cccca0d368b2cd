"""Every published loss written out slowly, entry by entry, beside the function that is tested.

Run as a script, this prints the largest differences, which docs/methods.md quotes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from stillhouse.methods import attention_transfer, factor_transfer, fitnets, nst, rkd
from stillhouse.methods.connectors import ConvRegressor
from stillhouse.methods.logit import kd_loss

Loss = Callable[[Tensor, Tensor], Tensor]
Shape = tuple[int, ...]
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())


def draw(seed: int, *shapes: Shape, rectified: bool = True) -> list[Tensor]:
    """Normal float64 tensors from a fixed generator; `rectified` as feature maps are."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [x.relu() for x in drawn] if rectified else drawn


def fill(module: nn.Module, seed: int) -> nn.Module:
    """Set all parameters, in their order, to 0.1 times normal numbers; 1 more for norm scales."""
    generator = torch.Generator().manual_seed(seed)
    scales = {id(m.weight) for m in module.modules() if isinstance(m, nn.BatchNorm2d)}
    with torch.no_grad():
        for p in module.parameters():
            normal = torch.randn(p.shape, generator=generator, dtype=torch.float64)
            p.copy_(0.1 * normal + (id(p) in scales))
    return module


def evaluate(loss: Loss, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """The loss and its gradient with respect to the student's tensor, as float64."""
    leaf = student.clone().requires_grad_()
    value = loss(leaf, teacher)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach().double(), gradient.double()


def difference(found: Tensor, expected: Tensor) -> float:
    """|found - expected| / |expected|, in the Euclidean norm."""
    return float((found - expected).norm() / expected.norm())


def slow_kd(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(student / 4, teacher / 4, strict=True):
        p, q = s.exp() / s.exp().sum(), t.exp() / t.exp().sum()
        total = total + sum(q[i] * (q[i] / p[i]).log() for i in range(len(q)))
    return 16 * total / len(student)


def slow_pool(x: Tensor, size: int) -> Tensor:
    step = x.shape[2] // size
    rows = [x[:, :, i * step : (i + 1) * step] for i in range(size)]
    cells = [
        [row[..., j * step : (j + 1) * step].mean((2, 3)) for j in range(size)] for row in rows
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in cells], dim=-2)


def slow_attention(student: Tensor, teacher: Tensor) -> Tensor:
    size = min(student.shape[2], teacher.shape[2])
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(slow_pool(student, size), slow_pool(teacher, size), strict=True):
        maps = []
        for x in (s, t):
            attention = sum(channel**2 for channel in x) / len(x)
            maps.append(attention / (attention**2).sum().sqrt())
        total = total + ((maps[0] - maps[1]) ** 2).sum() / size**2
    return total / len(student)


def slow_hint(student: Tensor, teacher: Tensor) -> Tensor:
    return sum((a - b) ** 2 for a, b in zip(student.flatten(), teacher.flatten(), strict=True)) / (
        student.numel()
    )


def slow_paper_hint(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(student, teacher, strict=True):
        total = total + sum(((a - b) ** 2).sum() / 2 for a, b in zip(s, t, strict=True))
    return total / (len(student) * student.shape[2] * student.shape[3])


def slow_softened(student: Tensor, teacher: Tensor) -> Tensor:
    """The paper's own form, a cross entropy at temperature 3, less the teacher's entropy."""
    log_p = (student / 3) - (student / 3).exp().sum(1, keepdim=True).log()
    q = (teacher / 3).exp() / (teacher / 3).exp().sum(1, keepdim=True)
    return (-(q * log_p).sum() + (q * q.log()).sum()) / len(student)


def slow_factor(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(student, teacher, strict=True):
        s, t = s / (s**2).sum().sqrt(), t / (t**2).sum().sqrt()
        total = total + (s - t).abs().sum() / s.numel()
    return total / len(student)


def slow_crd_factor(student: Tensor, teacher: Tensor) -> Tensor:
    attention = [
        sum(x[:, c] ** 2 for c in range(x.shape[1])) / x.shape[1] for x in (student, teacher)
    ]
    return slow_factor(*attention)


def smooth_l1(x: Tensor) -> Tensor:
    return x**2 / 2 if abs(x.item()) < 1 else x.abs() - 0.5


def slow_distance(student: Tensor, teacher: Tensor) -> Tensor:
    n = len(student)
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    lists = []
    for x in (student, teacher):
        distances = [((x[i] - x[j]) ** 2).sum().sqrt() for i, j in pairs]
        mean = sum(distances) / len(pairs)
        lists.append([d / mean for d in distances])
    return sum(smooth_l1(a - b) for a, b in zip(*lists, strict=True)) / n**2


def slow_angle(student: Tensor, teacher: Tensor) -> Tensor:
    n = len(student)

    def cosine(x: Tensor, i: int, j: int, k: int) -> Tensor:
        a, b = x[i] - x[j], x[k] - x[j]
        if j in (i, k):
            return (a * b).sum()
        return (a * b).sum() / ((a**2).sum().sqrt() * (b**2).sum().sqrt())

    triplets = [(i, j, k) for i in range(n) for j in range(n) for k in range(n)]
    return sum(smooth_l1(cosine(student, *ijk) - cosine(teacher, *ijk)) for ijk in triplets) / n**3


def slow_selectivity(student: Tensor, teacher: Tensor) -> Tensor:
    size = min(student.shape[2], teacher.shape[2])

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        total = torch.zeros((), dtype=a.dtype)
        for x in a.flatten(1):
            for y in b.flatten(1):
                if x.any() and y.any():  # a dead channel has cosine 0
                    cosine = (x * y).sum() / ((x**2).sum().sqrt() * (y**2).sum().sqrt())
                    total = total + cosine**2
        return total / (len(a) * len(b))

    total = torch.zeros((), dtype=student.dtype)
    for s, t in zip(slow_pool(student, size), slow_pool(teacher, size), strict=True):
        total = total + mean_kernel(s, s) + mean_kernel(t, t) - 2 * mean_kernel(s, t)
    return total / len(student)


@dataclass(frozen=True)
class Equality:
    """A loss of stillhouse, the same written slowly, and the inputs of the comparison."""

    ours: Loss
    slow: Loss
    student: Shape
    teacher: Shape
    rectified: bool = True


def softened(student: Tensor, teacher: Tensor) -> Tensor:
    return fitnets.softened_loss(student, teacher, temperature=3.0)


def kd(student: Tensor, teacher: Tensor) -> Tensor:
    return kd_loss(student, teacher, 4.0)


EQUALITIES = {
    "logit": Equality(kd, slow_kd, (5, 10), (5, 10), rectified=False),
    "attention_transfer": Equality(
        attention_transfer.attention_loss, slow_attention, (3, 4, 6, 6), (3, 5, 6, 6)
    ),
    "attention_transfer, pooled": Equality(
        attention_transfer.attention_loss, slow_attention, (3, 4, 8, 8), (3, 5, 4, 4)
    ),
    "fitnets crd": Equality(fitnets.hint_loss, slow_hint, (2, 3, 4, 4), (2, 3, 4, 4)),
    "fitnets two_stage, hint": Equality(
        fitnets.paper_hint_loss, slow_paper_hint, (2, 3, 4, 4), (2, 3, 4, 4)
    ),
    "fitnets two_stage, kd": Equality(softened, slow_softened, (5, 10), (5, 10), rectified=False),
    "factor_transfer official": Equality(
        factor_transfer.factor_loss, slow_factor, (3, 4, 5, 5), (3, 4, 5, 5), rectified=False
    ),
    "factor_transfer crd": Equality(
        factor_transfer.crd_factor_loss, slow_crd_factor, (3, 4, 5, 5), (3, 4, 5, 5)
    ),
    "rkd distance": Equality(rkd.distance_loss, slow_distance, (8, 16), (8, 24)),
    "rkd angle": Equality(rkd.angle_loss, slow_angle, (8, 16), (8, 24)),
    "nst, over channels": Equality(
        nst.selectivity_loss, slow_selectivity, (2, 3, 6, 6), (2, 4, 6, 6)
    ),
    "nst, over pixels": Equality(
        nst.selectivity_loss, slow_selectivity, (2, 9, 4, 4), (2, 12, 2, 2)
    ),
}


def compare(case: Equality, seed: int, dtype: torch.dtype) -> tuple[float, float]:
    """Differences of value and gradient; the slow formula sees the same numbers in float64."""
    student, teacher = draw(seed, case.student, case.teacher, rectified=case.rectified)
    student, teacher = student.to(dtype), teacher.to(dtype)
    found = evaluate(case.ours, student, teacher)
    expected = evaluate(case.slow, student.double(), teacher.double())
    return difference(found[0], expected[0]), difference(found[1], expected[1])


def paraphrased(variant: str, student_channels: int, teacher_channels: int) -> Loss:
    """Translator, paraphraser and loss of factor transfer, with the golden values' weights."""
    factors = teacher_channels // 2
    translator = factor_transfer.encoder(student_channels, factors, norm=variant == "crd")
    translator = fill(translator.double(), 1)
    paraphraser = fill(factor_transfer.Paraphraser(teacher_channels, factors).double(), 2)
    loss = {"official": factor_transfer.factor_loss, "crd": factor_transfer.crd_factor_loss}
    return lambda s, t: loss[variant](translator(s), paraphraser.encoder(t))


def regressed(student: Shape, teacher: Shape) -> Loss:
    """Regressor and loss of FitNets `crd`, with the golden values' weights."""
    regressor = fill(ConvRegressor(student[1:], teacher[1:]).double(), 1)
    return lambda s, t: fitnets.hint_loss(regressor(s), t)


def golden_loss(name: str) -> Loss:
    """What stillhouse computes for a golden value."""
    student, teacher = (tuple(GOLDEN["values"][name][side]) for side in ("student", "teacher"))
    method = name.split(",")[0]
    if method == "fitnets crd":
        return regressed(student, teacher)
    if method.startswith("factor_transfer"):
        return paraphrased(method.split()[1], student[1], teacher[1])
    return {
        "logit": kd,
        "attention_transfer": attention_transfer.attention_loss,
        "rkd distance": rkd.distance_loss,
        "rkd angle": rkd.angle_loss,
        "nst": nst.selectivity_loss,
    }[method]


def compare_golden(name: str) -> float:
    """The largest difference of value, gradient norm and first gradient entries."""
    golden = GOLDEN["values"][name]
    shapes = (tuple(golden["student"]), tuple(golden["teacher"]))
    student, teacher = draw(golden["seed"], *shapes, rectified=len(shapes[0]) == 4)
    value, gradient = evaluate(golden_loss(name), student, teacher)
    entries = torch.tensor(golden["gradient"], dtype=torch.float64)
    first = (gradient.flatten()[: len(entries)] - entries).norm() / golden["gradient_norm"]
    norm = gradient.norm().item()
    found = [value.item() / golden["value"] - 1, norm / golden["gradient_norm"] - 1, first.item()]
    return torch.tensor(found).abs().max().item()


def main() -> None:
    """Print the largest difference over 20 draws, and that from the golden values."""
    for name, case in EQUALITIES.items():
        worst = [
            torch.tensor([compare(case, seed, dtype) for seed in range(20)]).max()
            for dtype in (torch.float64, torch.float32)
        ]
        sys.stdout.write(f"{name:28} float64 {worst[0]:.1e}  float32 {worst[1]:.1e}\n")
    for name in GOLDEN["values"]:
        sys.stdout.write(f"{name:28} golden  {compare_golden(name):.1e}\n")


if __name__ == "__main__":
    main()
