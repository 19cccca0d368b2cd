"""ResNet112 and torchvision's MobileNetV2 at 32 pixels, either teaching the other by any method."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillhouse.data.specs import SPECS
from stillhouse.plugin import read_plugin
from stillhouse.training.contract import model
from stillhouse.training.contract.runs import RECIPE, ShortRuns
from stillhouse.training.contract.verdict import CheckFailed
from training.contract.cases import CASES, WHOLE, share

HERE = Path(__file__).parent
MOBILENET = read_plugin(HERE.parents[2] / "examples" / "mobilenet_v2.py")
DIGITS = read_plugin(HERE / "digits32.py")
FOREIGN = [("ResNet112", "mobilenet_v2"), ("mobilenet_v2", "ResNet112")]
RATE = 0.001  # batch norm's averages are of two steps: after larger ones, 112 layers may overflow
RECIPE_32 = RECIPE.model_copy(
    update={"epochs": 1, "batch_size": 4, "train_images": None, "learning_rate": RATE}
)
# Teacher, method, learning rate, reason: no map of MobileNetV2 has its pooled features as mean; in
# eval mode the deep teacher's are about 1e6, and CC's products of their differences overflow.
REFUSED = [
    ("mobilenet_v2", "simkd", RATE, "the mean of none of this teacher's maps"),
    ("ResNet112", "cc", 0.02, "their norm is not finite at epoch 0 step 1"),
]


def numbers(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, int | float):
        yield value


@pytest.mark.parametrize("whole", WHOLE)
@pytest.mark.parametrize("pair", FOREIGN)
def test_every_method_and_control_takes_its_steps(
    pair: tuple[str, str], whole: bool, tmp_path: Path
) -> None:
    """Two steps in the loop, as a cohort: the guard refuses a gradient that is not finite."""
    runs = ShortRuns(
        tmp_path, *pair, dataset="digits32", recipe=RECIPE_32, files=(MOBILENET, DIGITS)
    )
    runs.train_teachers()
    cases = [
        case
        for case in share(FOREIGN.index(pair), len(FOREIGN), whole)
        if (pair[0], case.name) != ("mobilenet_v2", "simkd")
    ]
    for case, outcome in zip(cases, runs.outcomes("runs", cases), strict=True):
        (record,) = outcome["records"].values()
        assert record["update_ratio"] > 0, case
        assert record["gradients"]["norm"] > 0, case
        assert all(map(math.isfinite, numbers(record))), case
        if case.has_teacher:
            assert record["gradients"]["kd"] > 0, case


@pytest.mark.parametrize(("teacher", "method", "rate", "reason"), REFUSED)
def test_what_cannot_be_is_refused_with_its_reason(
    teacher: str, method: str, rate: float, reason: str, tmp_path: Path
) -> None:
    pair = next(one for one in FOREIGN if one[0] == teacher)
    recipe = RECIPE_32.model_copy(update={"learning_rate": rate})
    runs = ShortRuns(tmp_path, *pair, dataset="digits32", recipe=recipe, files=(MOBILENET, DIGITS))
    runs.train_teachers()
    with pytest.raises(CheckFailed, match=reason):
        runs.outcomes("runs", [case for case in CASES if case.name == method])


@pytest.mark.parametrize("check", model.CHECKS)
def test_the_example_keeps_the_contract_of_models(check: str) -> None:
    model.CHECKS[check](model.ModelCase("mobilenet_v2", (MOBILENET,), SPECS["Digits"]))


@pytest.mark.parametrize("size", [28, 32, 64])
def test_the_example_takes_the_other_sizes(size: int) -> None:
    case = model.ModelCase("mobilenet_v2", (MOBILENET,), replace(SPECS["Cifar10"], size=size))
    features = case.forward(case.build()).features
    maps = [tuple(features[name].shape[1:]) for name in ("layer1", "layer2", "layer3", "layer4")]
    sizes = [size, size // 2, -(-size // 4), -(-size // 8)]
    assert maps == [(c, s, s) for c, s in zip((24, 32, 96, 320), sizes, strict=True)]
