"""Hostile inputs: every loss and its gradient stay finite, also in half precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from methods.formulas import EQUALITIES
from stillhouse.methods.rkd import angle_loss, distance_loss, gram, relative_distances


def duplicates(x: Tensor) -> Tensor:
    return x[torch.arange(len(x)) // 2]


HOSTILE: dict[str, Callable[[Tensor], Tensor]] = {
    "identical": lambda x: x[:1].expand_as(x).clone(),
    "zero": torch.zeros_like,
    "one example zero": lambda x: torch.cat([x[:1] * 0, x[1:]]),
    "one channel zero": lambda x: x * (torch.arange(x.shape[1]) > 0).view(-1, *[1] * (x.dim() - 2)),
    "saturated": lambda x: x * 1e4,
    "tiny": lambda x: x * 1e-6,
    "vanishing": lambda x: x * 1e-20,
    "nearly identical": lambda x: x[:1] + 1e-6 * x,
    "far from 0": lambda x: x + 1e3,
    "batch of 1": lambda x: x[:1],
    "batch of 2": lambda x: x[:2],
    "duplicates": duplicates,
}
RESIZING = {"batch of 1", "batch of 2"}


def inputs(name: str) -> tuple[Tensor, Tensor]:
    case = EQUALITIES[name]
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, *shape[1:]) for shape in (case.student, case.teacher)]
    student, teacher = (torch.randn(shape, generator=generator) for shape in shapes)
    return student, teacher


def assert_finite(loss: Tensor, leaf: Tensor) -> None:
    (gradient,) = torch.autograd.grad(loss, leaf)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", EQUALITIES)
@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("who", ["student", "teacher", "both"])
def test_finite_loss_and_gradient(name: str, hostile: str, who: str) -> None:
    student, teacher = inputs(name)
    spoil = HOSTILE[hostile]
    if who != "teacher" or hostile in RESIZING:
        student = spoil(student)
    if who != "student" or hostile in RESIZING:
        teacher = spoil(teacher)
    leaf = student.requires_grad_()
    assert_finite(EQUALITIES[name].ours(leaf, teacher) * 1000 * 2**16, leaf)


@pytest.mark.parametrize("name", EQUALITIES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_inputs_inside_autocast(name: str, dtype: torch.dtype) -> None:
    student, teacher = (300 * x.to(dtype) for x in inputs(name))  # 300^2 overflows float16
    leaf = student.requires_grad_()
    with torch.autocast("cpu", dtype=dtype):
        loss = EQUALITIES[name].ours(leaf, teacher)
    if not name.startswith("logit"):  # whose result has the type of its input
        assert loss.dtype == torch.float32
    assert_finite(loss, leaf)


def test_no_angle_or_distance_at_batch_of_one() -> None:
    student, teacher = torch.ones(1, 4), torch.zeros(1, 4)
    assert distance_loss(student, teacher) == 0
    assert angle_loss(student, teacher) == 0


def test_duplicates_count_as_the_published_floor_does() -> None:
    """A coincident pair has distance 1e-6, the root of the authors' clamp, over the mean."""
    points = torch.tensor([[0.0, 0.0], [0.0, 0.0], [3.0, 4.0]]).double()
    mean = (4 * 5 + 2 * 1e-6) / 6
    relative = relative_distances(gram(points))
    torch.testing.assert_close(relative[0, 1], torch.tensor(1e-6 / mean).double())
    torch.testing.assert_close(relative[0, 2], torch.tensor(5 / mean).double())


def test_near_duplicates_far_from_the_origin_keep_their_distances() -> None:
    """The cancellation that the plain float32 form suffers: points 0.01 apart near 1000."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.randn(8, 16, generator=generator)
    student = (1000 + 0.01 * spread).float()
    found = relative_distances(gram(student))
    expected = torch.cdist(
        student.double(), student.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    expected = expected / (expected.sum() / 56)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)
