"""Each control takes one thing away from logit distillation, and nothing else."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.pairs import make_batch, make_method, network
from stillhouse.errors import ConfigError
from stillhouse.methods.objective import coefficients
from stillhouse.models.base import Network, Outputs
from stillhouse.models.tapped import Tapped

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 1.0, 3.0]])


def weigh(name: str, total: str, alpha: float | None = None, **options: object) -> dict[str, float]:
    method = make_method(name, network("ResNetBaby"), network("ResNetBaby"), **options)
    return coefficients(method.reference(method.config), total, alpha)


def test_null_is_cross_entropy_at_its_weight_beside_logit() -> None:
    assert weigh("ce_scaled", "reference") == {"ce": weigh("logit", "reference")["ce"]}
    assert weigh("ce_scaled", "reference", coefficient=0.5) == {"ce": 0.5}
    assert weigh("ce_scaled", "convex", 0.75) == {"ce": 0.25}
    assert weigh("ce_scaled", "convex")["ce"] == weigh("logit", "convex")["ce"]


def test_label_smoothing_is_its_formula_whatever_the_recipe_says() -> None:
    method = make_method("label_smoothing", network("ResNetBaby"), network("ResNetBaby"))
    labels = torch.tensor([0, 2])
    target = 0.9 * F.one_hot(labels, 3) + 0.1 / 3
    expected = -(target * F.log_softmax(LOGITS, dim=1)).sum(dim=1).mean()
    batch = make_batch(count=2)
    outputs = Outputs(LOGITS, {})
    for recipe in (0.0, 0.3):
        found = method.task_loss(outputs, replace(batch, labels=labels), recipe)
        assert torch.allclose(found, expected, atol=1e-7)


def outputs_of(model: Network) -> Outputs:
    with torch.no_grad():
        outputs: Outputs = model(make_batch().images)
    return outputs


def test_shuffled_teacher_is_logit_on_permuted_rows_drawn_from_the_global_generator() -> None:
    student, teacher = network("ResNetBaby").eval(), network("ResNet20").eval()
    shuffled = make_method("shuffled_teacher", student, teacher)
    logit = make_method("logit", student, teacher)
    s, t, batch = outputs_of(student), outputs_of(teacher), make_batch()
    torch.manual_seed(5)
    found = shuffled.terms(s, t, batch)["kd"]
    torch.manual_seed(5)
    rows = torch.randperm(len(batch.labels))
    assert sorted(rows.tolist()) != rows.tolist()
    expected = logit.terms(s, Outputs(t.logits[rows], t.features), batch)["kd"]
    assert torch.equal(found, expected)
    assert not torch.equal(found, logit.terms(s, t, batch)["kd"])


def test_random_teacher_has_other_weights_of_the_same_shapes_and_learns_nothing() -> None:
    student, teacher = network("ResNetBaby"), network("ResNet20").eval()
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(1.0)  # "trained": far from every initialisation
    method = make_method("random_teacher", student, teacher)
    untrained = dict(method.untrained.named_parameters())  # type: ignore[union-attr, operator]
    for name, parameter in teacher.named_parameters():
        assert untrained[name].shape == parameter.shape
        assert not torch.equal(untrained[name], parameter), name
    before = copy.deepcopy(method.state_dict())
    outputs, taught, batch = outputs_of(student), outputs_of(teacher), make_batch()
    first = method.terms(outputs, taught, batch)["kd"]
    assert method.train().untrained.training is False  # type: ignore[union-attr]
    assert torch.equal(method.terms(outputs, taught, batch)["kd"], first)
    parameters = {name for name, _ in method.named_parameters()}
    for name, value in method.state_dict().items():
        assert torch.equal(value, before[name]) == (name in parameters), name


def test_a_deep_random_teacher_gives_soft_and_different_answers() -> None:
    teacher = network("ResNet112").eval()
    assert outputs_of(teacher).logits.abs().max() > 1e3  # what it would teach without statistics
    method = make_method("random_teacher", network("ResNetBaby"), teacher)
    method.terms(outputs_of(network("ResNetBaby")), outputs_of(teacher), make_batch())
    answers = F.softmax(outputs_of(method.untrained).logits / 4, dim=1)  # type: ignore[arg-type]
    assert answers.max() < 0.9
    assert answers.std(dim=0).max() > 1e-3


class Token(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.ones(3))


class Keeps(nn.Linear):
    def reset_parameters(self) -> None:
        if not hasattr(self, "drawn"):
            super().reset_parameters()
        self.drawn = True


def test_random_teacher_refuses_weights_it_cannot_draw_anew() -> None:
    teacher = network("ResNetBaby")
    teacher.token = Token()
    with pytest.raises(ConfigError, match="weights of a Token"):
        make_method("random_teacher", network("ResNetBaby"), teacher)
    teacher = network("ResNetBaby")
    teacher.head = Keeps(64, 10)
    with pytest.raises(ConfigError, match=r"head\.weight still has its trained weights"):
        make_method("random_teacher", network("ResNetBaby"), teacher)


class Rooted(nn.Module):
    """A foreign network with a parameter outside of its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.rand(3, 1, 1))
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(4, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.conv(images + self.token).mean(dim=(2, 3)))
        return logits


class Resettable(Rooted):
    def reset_parameters(self) -> None:
        nn.init.uniform_(self.token)


def test_random_teacher_resets_a_foreign_network_or_names_what_it_cannot() -> None:
    student = network("ResNetBaby")
    with pytest.raises(ConfigError, match="weights of a Rooted"):
        make_method("random_teacher", student, Tapped(Rooted(), {"a": "conv"}, "fc"))
    torch.manual_seed(2)
    teacher = Tapped(Resettable(), {"a": "conv"}, "fc")
    method = make_method("random_teacher", student, teacher)
    untrained = dict(method.untrained.named_parameters())  # type: ignore[union-attr, operator]
    assert untrained.keys() == dict(teacher.named_parameters()).keys()
    for name, parameter in teacher.named_parameters():
        assert not torch.equal(untrained[name], parameter), name
