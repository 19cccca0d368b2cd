from __future__ import annotations

import pytest
import torch

from methods.pairs import SIZE, make_batch, make_method, network
from stillhouse.errors import ConfigError

REFERENCE = {"ce": 1.0, "hint": 1.0, "kd": 4.0}


def two_stage(**options: object):  # type: ignore[no-untyped-def]
    student, teacher = network("ResNetBaby"), network("ResNet20")
    return make_method("fitnets", student, teacher, variant="two_stage", **options)


def test_hints_come_first_then_the_weight_of_kd_falls_from_4_to_1() -> None:
    phases = [two_stage().weights(REFERENCE, epoch, 8) for epoch in range(8)]
    assert phases[:2] == [{"ce": 0.0, "hint": 1.0, "kd": 0.0}] * 2
    assert all(phase["ce"] == 1 and phase["hint"] == 0 for phase in phases[2:])
    assert [phase["kd"] for phase in phases[2:]] == pytest.approx([4, 3.4, 2.8, 2.2, 1.6, 1])


@pytest.mark.parametrize(
    ("epochs", "fraction", "hints"), [(1, 0.25, 0), (2, 0.1, 1), (2, 0.9, 1), (10, 0.5, 5)]
)
def test_each_phase_has_at_least_one_epoch(epochs: int, fraction: float, hints: int) -> None:
    method = two_stage(hint_fraction=fraction)
    phases = [method.weights(REFERENCE, epoch, epochs) for epoch in range(epochs)]
    assert [phase["hint"] > 0 for phase in phases] == [True] * hints + [False] * (epochs - hints)
    assert phases[hints]["kd"] == 4


def test_one_stage_has_no_phases() -> None:
    method = make_method("fitnets", network("ResNetBaby"), network("ResNet20"))
    coefficients = {"ce": 1.0, "hint": 100.0}
    assert all(method.weights(coefficients, epoch, 8) == coefficients for epoch in range(8))


def test_hints_reach_the_student_up_to_the_middle_layer_only() -> None:
    student, teacher = network("ResNetBaby"), network("ResNet20").eval()
    method = make_method("fitnets", student, teacher, variant="two_stage")
    batch = make_batch()
    with torch.no_grad():
        taught = teacher(batch.images)
    torch.autograd.backward(method.terms(student(batch.images), taught, batch)["hint"])
    reached = {name.split(".")[0] for name, p in student.named_parameters() if p.grad is not None}
    assert reached == {"conv", "bn", "layer1", "layer2"}


def test_layers_can_be_chosen() -> None:
    student, teacher = network("ResNetBaby"), network("ResNet20").eval()
    method = make_method("fitnets", student, teacher, layers=("layer1", "layer3"))
    batch = make_batch()
    terms = method.terms(student(batch.images), teacher(batch.images), batch)
    assert method.regressor(torch.rand(2, 16, SIZE, SIZE)).shape == (2, 64, 4, 4)
    assert terms["hint"] > 0
    with pytest.raises(ConfigError, match="did you mean 'layer1'"):
        make_method("fitnets", student, teacher, layers=("layer11", "layer3"))
