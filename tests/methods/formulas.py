"""Every loss beside the slow formula of `slow.py`, and beside numbers of the published code.

Run as a script, this prints the largest differences, which docs/methods.md quotes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods import slow
from stillhouse.methods import (
    attention_transfer,
    cc,
    crd,
    dist,
    dkd,
    factor_transfer,
    fitnets,
    nst,
    pkt,
    reviewkd,
    rkd,
    simkd,
    sp,
    srrl,
    ttm,
    vid,
    wttm,
)
from stillhouse.methods.connectors import ConvRegressor, in_full_precision
from stillhouse.methods.logit import kd_loss, standardised

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


@dataclass(frozen=True)
class Equality:
    """A loss of stillhouse, the same written slowly, and the inputs of the comparison.

    `zero` says that it is 0 where student and teacher are equal, and nowhere less.
    """

    ours: Loss
    slow: Loss
    student: Shape
    teacher: Shape
    rectified: bool = True
    zero: bool = True


def softened(student: Tensor, teacher: Tensor) -> Tensor:
    return fitnets.softened_loss(student, teacher, temperature=3.0)


def kd(student: Tensor, teacher: Tensor) -> Tensor:
    return kd_loss(student, teacher, 4.0)


def standardised_kd(student: Tensor, teacher: Tensor) -> Tensor:
    return kd_loss(standardised(student), standardised(teacher), 2.0)


def decoupled(loss: Callable[..., Tensor]) -> Loss:
    def run(student: Tensor, teacher: Tensor) -> Tensor:
        labels = slow.labels_of(*student.shape)
        return loss(student, teacher, labels=labels, temperature=4.0)

    return run


def likelihood(student: Tensor, teacher: Tensor) -> Tensor:
    variance = 1 + torch.arange(student.shape[1], dtype=student.dtype) / 2
    return vid.likelihood_loss(student, teacher, variance)


@in_full_precision
def contrasted(student: Tensor, teacher: Tensor) -> Tensor:
    """The contrast of each row with all others; the first is the positive of all."""
    cosines = F.normalize(student) @ F.normalize(teacher).T
    return crd.contrast_loss((cosines / 0.07).exp(), images=20)


def logits_case(ours: Loss, written: Loss, zero: bool = True) -> Equality:
    return Equality(ours, written, (5, 10), (5, 10), rectified=False, zero=zero)


EQUALITIES = {
    "logit": Equality(kd, slow.slow_kd, (5, 10), (5, 10), rectified=False),
    "attention_transfer": Equality(
        attention_transfer.attention_loss, slow.slow_attention, (3, 4, 6, 6), (3, 5, 6, 6)
    ),
    "attention_transfer, pooled": Equality(
        attention_transfer.attention_loss, slow.slow_attention, (3, 4, 8, 8), (3, 5, 4, 4)
    ),
    "fitnets crd": Equality(fitnets.hint_loss, slow.slow_hint, (2, 3, 4, 4), (2, 3, 4, 4)),
    "fitnets two_stage, hint": Equality(
        fitnets.paper_hint_loss, slow.slow_paper_hint, (2, 3, 4, 4), (2, 3, 4, 4)
    ),
    "fitnets two_stage, kd": Equality(
        softened, slow.slow_softened, (5, 10), (5, 10), rectified=False
    ),
    "factor_transfer official": Equality(
        factor_transfer.factor_loss, slow.slow_factor, (3, 4, 5, 5), (3, 4, 5, 5), rectified=False
    ),
    "factor_transfer crd": Equality(
        factor_transfer.crd_factor_loss, slow.slow_crd_factor, (3, 4, 5, 5), (3, 4, 5, 5)
    ),
    "rkd distance": Equality(rkd.distance_loss, slow.slow_distance, (8, 16), (8, 24)),
    "rkd angle": Equality(rkd.angle_loss, slow.slow_angle, (8, 16), (8, 24)),
    "nst, over channels": Equality(
        nst.selectivity_loss, slow.slow_selectivity, (2, 3, 6, 6), (2, 4, 6, 6)
    ),
    "nst, over pixels": Equality(
        nst.selectivity_loss, slow.slow_selectivity, (2, 9, 4, 4), (2, 12, 2, 2)
    ),
    "logit standardised": logits_case(standardised_kd, slow.slow_standardised_kd),
    "dkd target": logits_case(decoupled(dkd.target_loss), slow.slow_tckd),
    "dkd others": logits_case(decoupled(dkd.other_loss), slow.slow_nckd),
    "dist inter": logits_case(partial(dist.inter_loss, temperature=4.0), slow.slow_inter, False),
    "dist intra": logits_case(partial(dist.intra_loss, temperature=4.0), slow.slow_intra, False),
    "ttm": logits_case(partial(ttm.transformed_loss, gamma=0.1), slow.slow_ttm, False),
    "wttm": logits_case(partial(wttm.weighted_loss, gamma=0.2), slow.slow_wttm, False),
    "sp": Equality(sp.similarity_loss, slow.slow_similarity, (4, 3, 4, 4), (4, 5, 2, 2)),
    "pkt": Equality(pkt.transfer_loss, slow.slow_neighbours, (6, 8), (6, 12), rectified=False),
    "cc": Equality(cc.congruence_loss, slow.slow_congruence, (5, 8), (5, 8), rectified=False),
    "srrl": Equality(srrl.squared_loss, slow.slow_hint, (4, 6), (4, 6)),
    "simkd": Equality(simkd.match_loss, slow.slow_hint, (2, 3, 4, 4), (2, 3, 4, 4)),
    "reviewkd": Equality(
        reviewkd.context_loss, slow.slow_context, (2, 3, 8, 8), (2, 3, 8, 8), rectified=False
    ),
    "crd": Equality(contrasted, slow.slow_contrast, (5, 8), (5, 8), rectified=False, zero=False),
    "vid": Equality(likelihood, slow.slow_likelihood, (2, 3, 4, 4), (2, 3, 4, 4), zero=False),
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
    if method == "vid":
        return fill(vid.GaussianRegressor(student[1], teacher[1]).double(), 1)
    from methods.modules import MODULES, SimkdTerms, with_head  # which need this module

    if name == "srrl, simkd":
        return with_head(SimkdTerms, student, teacher, variant="simkd")
    if method in MODULES:
        return MODULES[method](student, teacher)
    losses = {name: case.ours for name, case in EQUALITIES.items()}
    return (losses | {"nst": nst.selectivity_loss})[method]


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
