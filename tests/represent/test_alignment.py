from __future__ import annotations

import numpy as np
import pytest

from stillhouse.errors import DataError
from stillhouse.represent.alignment import align

RNG = np.random.default_rng(3)
LABELS = np.arange(400) % 4
TEACHER = RNG.normal(size=(4, 6))[LABELS] + 0.2 * RNG.normal(size=(400, 6))
ROTATION = np.linalg.qr(RNG.normal(size=(6, 6)))[0]


@pytest.mark.parametrize("student", [2.5 * TEACHER @ ROTATION + 3, TEACHER[:, ::-1] - 1])
def test_a_network_in_another_basis_is_the_same(student: np.ndarray) -> None:
    found = align(student, TEACHER, LABELS)
    assert found.residual == pytest.approx(0, abs=1e-20)
    np.testing.assert_allclose(found.student, found.teacher, atol=1e-10)
    assert (found.labels == LABELS[1::2]).all()


def test_a_wider_student_is_aligned_too() -> None:
    wide = np.hstack([TEACHER, np.zeros((400, 3))]) @ np.linalg.qr(RNG.normal(size=(9, 9)))[0]
    assert align(wide, TEACHER, LABELS).residual == pytest.approx(0, abs=1e-20)
    assert align(TEACHER, wide, LABELS).residual == pytest.approx(0, abs=1e-20)


def test_shown_rows_take_no_part_in_the_fit() -> None:
    """Rows of odd position are noise: they move nothing, and all their variance is left."""
    student = (TEACHER @ ROTATION).copy()
    student[1::2] = RNG.normal(size=(200, 6))
    found = align(student, TEACHER, LABELS)
    assert found.residual > 0.9
    changed = TEACHER.copy()
    changed[1::2] += 100
    moved = align(student, changed, LABELS)
    np.testing.assert_allclose(moved.student, found.student)


def test_unrelated_features_leave_everything() -> None:
    found = align(RNG.normal(size=(400, 6)), TEACHER, LABELS)
    assert found.residual == pytest.approx(1, abs=0.1)


def test_the_residual_is_that_of_scipys_procrustes() -> None:
    from scipy.linalg import orthogonal_procrustes

    student = TEACHER @ ROTATION + 0.3 * RNG.normal(size=TEACHER.shape)
    x, y = (side - side[::2].mean(axis=0) for side in (student, TEACHER))
    q, scale = orthogonal_procrustes(x[::2], y[::2])
    moved = x[1::2] @ q * scale / (x[::2] ** 2).sum()
    expected = ((moved - y[1::2]) ** 2).sum() / (y[1::2] ** 2).sum()
    assert align(student, TEACHER, LABELS).residual == pytest.approx(expected)


@pytest.mark.parametrize(
    ("student", "why"),
    [
        (np.full((400, 6), np.nan), "NaN"),
        (np.ones((400, 6)), "varies"),
        (TEACHER[:-1], "399 rows"),
    ],
)
def test_features_that_cannot_be_aligned_are_named(student: np.ndarray, why: str) -> None:
    with pytest.raises(DataError, match=why):
        align(student, TEACHER, LABELS)
