"""Every loss against the same formula written slowly, and against the authors' own numbers."""

from __future__ import annotations

import pytest
import torch

from methods.formulas import EQUALITIES, GOLDEN, compare, compare_golden
from stillhouse import methods


@pytest.mark.parametrize("name", EQUALITIES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-9), (torch.float32, 1e-5)])
def test_loss_equals_the_slow_formula(name: str, dtype: torch.dtype, bound: float) -> None:
    for seed in range(3):
        value, gradient = compare(EQUALITIES[name], seed, dtype)
        assert value < bound
        assert gradient < bound


@pytest.mark.parametrize("name", GOLDEN["values"])
def test_loss_equals_the_numbers_of_the_published_code(name: str) -> None:
    assert compare_golden(name) < 1e-9


def test_every_method_with_a_loss_of_its_own_is_in_the_table() -> None:
    """The controls have none: theirs is logit's `kd_loss`, or cross entropy."""
    controls = {"ce_scaled", "label_smoothing", "self", "random_teacher", "shuffled_teacher"}
    own = {*methods.names()} - controls - {"pure"}
    assert {name.split()[0].rstrip(",") for name in EQUALITIES} == own


def test_both_forms_of_nst_are_compared() -> None:
    from stillhouse.methods import nst

    forms = []
    for name in ("nst, over channels", "nst, over pixels"):
        case = EQUALITIES[name]
        pixels = min(case.student[2], case.teacher[2]) ** 2
        c_s, c_t = case.student[1], case.teacher[1]
        forms.append(pixels * (c_s + c_t) < c_s**2 + c_t**2 + c_s * c_t)
        s, t = torch.rand(2, c_s, pixels).double(), torch.rand(2, c_t, pixels).double()
        torch.testing.assert_close(
            nst.discrepancy_over_channels(s, t), nst.discrepancy_over_pixels(s, t)
        )
    assert forms == [False, True]
