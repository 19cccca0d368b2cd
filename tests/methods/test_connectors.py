from __future__ import annotations

import pytest
import torch

from stillhouse.errors import ConfigError
from stillhouse.methods.connectors import (
    ConvRegressor,
    in_full_precision,
    middle_pair,
    pair_groups,
    per_pair,
    pool_to_smaller,
)
from stillhouse.models.base import Shapes


def shapes(*groups: str) -> Shapes:
    return Shapes(10, dict.fromkeys(groups, (4, 8, 8)) | {"pooled": (4,)}, groups)


@pytest.mark.parametrize(
    ("student", "teacher", "expected"),
    [
        ("abc", "xyz", ["ax", "by", "cz"]),
        ("abc", "vwxyz", ["aw", "by", "cz"]),
        ("abcd", "xyz", ["bx", "cy", "dz"]),
        ("a", "xyz", ["az"]),
        ("ab", "wxyz", ["ax", "bz"]),
    ],
)
def test_groups_are_paired_evenly_and_the_last_with_the_last(
    student: str, teacher: str, expected: list[str]
) -> None:
    found = pair_groups(shapes(*student), shapes(*teacher))
    assert found == [tuple(pair) for pair in expected]


def test_the_middle_pair() -> None:
    assert middle_pair(shapes(*"abc"), shapes(*"xyz")) == ("b", "y")
    assert middle_pair(shapes(*"abcd"), shapes(*"wxyz")) == ("c", "y")


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([("a", "lay")], "unknown teacher layer 'lay'"),
        ([("q", "x")], "unknown student layer 'q'"),
        ([("pooled", "x")], r"student layer 'pooled' has shape \(4,\)"),
        ([("a", "x"), ("a", "y")], "each student layer once"),
    ],
)
def test_wrong_layers_are_named(layers: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pair_groups(shapes(*"abc"), shapes(*"xyz"), layers)


def test_networks_without_groups_cannot_be_paired() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        pair_groups(shapes(), shapes("x"))


def test_the_larger_map_is_pooled_in_each_direction() -> None:
    student, teacher = torch.rand(2, 3, 8, 4), torch.rand(2, 5, 4, 6)
    s, t = pool_to_smaller(student, teacher)
    assert s.shape == (2, 3, 4, 4)
    assert t.shape == (2, 5, 4, 4)
    torch.testing.assert_close(s[:, :, 0], student[:, :, :2].mean(2))


def test_equal_maps_are_left_alone() -> None:
    student, teacher = torch.rand(2, 3, 8, 4), torch.rand(2, 5, 8, 4)
    assert pool_to_smaller(student, teacher) == (student, teacher)


@pytest.mark.parametrize(
    ("student", "teacher", "result", "kernel"),
    [
        ((3, 8, 8), (5, 8, 8), (8, 8), (1, 1)),
        ((3, 8, 8), (5, 4, 4), (4, 4), (3, 3)),
        ((3, 4, 4), (5, 8, 8), (8, 8), (4, 4)),
        ((3, 7, 7), (5, 6, 6), (6, 6), (2, 2)),
        ((3, 16, 16), (5, 4, 4), (4, 4), None),
        ((3, 3, 3), (5, 7, 7), (3, 3), None),
        ((3, 2, 16), (5, 16, 2), (2, 2), None),
    ],
)
def test_the_regressor_meets_the_teacher_or_the_smaller_size(
    student: tuple[int, int, int],
    teacher: tuple[int, int, int],
    result: tuple[int, int],
    kernel: tuple[int, int] | None,
) -> None:
    regressor = ConvRegressor(student, teacher)
    out = regressor(torch.randn(2, *student))
    assert out.shape == (2, teacher[0], *result)
    assert out.min() >= 0
    if kernel:
        assert regressor.conv.kernel_size == kernel


def test_the_regressor_can_do_without_norm() -> None:
    names = [name for name, _ in ConvRegressor((3, 8, 8), (5, 8, 8), norm=False).named_parameters()]
    assert names == ["conv.weight", "conv.bias"]


def test_the_coefficient_of_a_sum_goes_to_each_of_its_terms() -> None:
    found = per_pair({"ce": 1.0, "at": 7.0}, "at", ["at_a", "at_b"])
    assert found == {"ce": 1.0, "at_a": 7.0, "at_b": 7.0}


def test_full_precision_casts_up_and_leaves_autocast() -> None:
    @in_full_precision
    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return a @ b

    half = torch.full((2, 2), 300.0, dtype=torch.float16)
    with torch.autocast("cpu", dtype=torch.float16):
        assert product(half, half).tolist() == [[180000.0] * 2] * 2
        assert product(half.double(), half.double()).dtype == torch.float64
