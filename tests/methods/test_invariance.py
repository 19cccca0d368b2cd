"""What each formula implies: invariances, zero at equality, never negative."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods.formulas import EQUALITIES, draw
from stillhouse.methods.attention_transfer import attention_loss
from stillhouse.methods.factor_transfer import crd_factor_loss, factor_loss
from stillhouse.methods.logit import kd_loss
from stillhouse.methods.nst import selectivity_loss
from stillhouse.methods.rkd import angle_loss, distance_loss

seeds = st.integers(0, 2**31 - 1)
scales = st.floats(0.01, 100)
many = settings(max_examples=30, deadline=None)
MAP = (3, 6, 4, 4)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-12)


@many
@given(seeds, scales)
@pytest.mark.parametrize("loss", [attention_loss, factor_loss, crd_factor_loss, selectivity_loss])
def test_scale_of_a_map_does_not_matter(loss, seed: int, scale: float) -> None:  # type: ignore[no-untyped-def]
    student, teacher = draw(seed, MAP, MAP)
    close(loss(student * scale, teacher), loss(student, teacher))
    close(loss(student, teacher * scale), loss(student, teacher))


@many
@given(seeds, scales)
@pytest.mark.parametrize("loss", [distance_loss, angle_loss])
def test_rkd_ignores_scale_rotation_and_translation(loss, seed: int, scale: float) -> None:  # type: ignore[no-untyped-def]
    student, teacher, mixing, offset = draw(seed, (7, 5), (7, 5), (5, 5), (1, 5), rectified=False)
    rotation, _ = torch.linalg.qr(mixing)
    close(loss(scale * student @ rotation + 10 * offset, teacher), loss(student, teacher))
    close(loss(student, scale * teacher @ rotation + 10 * offset), loss(student, teacher))


@many
@given(seeds, st.permutations(range(6)))
@pytest.mark.parametrize("size", [2, 8])  # over pixels, over channels
def test_nst_ignores_the_order_of_channels(size: int, seed: int, order: list[int]) -> None:
    student, teacher = draw(seed, (3, 6, size, size), (3, 6, size, size))
    close(selectivity_loss(student[:, order], teacher), selectivity_loss(student, teacher))


@many
@given(seeds, st.floats(-50, 50))
def test_logit_ignores_a_shift(seed: int, shift: float) -> None:
    student, teacher = draw(seed, (4, 10), (4, 10), rectified=False)
    close(kd_loss(student + shift, teacher, 4.0), kd_loss(student, teacher, 4.0))


@many
@given(seeds)
@pytest.mark.parametrize("name", [name for name, case in EQUALITIES.items() if case.zero])
def test_zero_at_equality_and_never_negative(name: str, seed: int) -> None:
    case = EQUALITIES[name]
    student, teacher = draw(seed, case.student, case.teacher, rectified=case.rectified)
    close(case.ours(student, student), student.new_zeros(()))
    assert case.ours(student, teacher) > 0
    assert case.ours(student.float(), student.float()) >= -1e-7


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_attention_is_not_blind_to_where(seed: int) -> None:
    student, teacher = draw(seed, MAP, MAP)
    assert not torch.isclose(
        attention_loss(student.flip(3), teacher), attention_loss(student, teacher)
    )
