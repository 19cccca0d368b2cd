"""What the loop relies on: one table of every method, variant, pair of networks and precision."""

from __future__ import annotations

import copy

import pytest
import torch

from methods.pairs import make_batch, make_method, network
from stillhouse import methods
from stillhouse.methods.base import Method
from stillhouse.methods.objective import coefficients
from stillhouse.models.base import Network
from stillhouse.training.precision import DTYPES, autocast, full_precision

CPU = torch.device("cpu")

CASES: list[tuple[str, dict[str, object]]] = [
    ("pure", {}),
    ("logit", {}),
    ("factor_transfer", {"variant": "official", "paraphraser_epochs": 1}),
    ("factor_transfer", {"variant": "crd", "paraphraser_epochs": 1}),
    ("attention_transfer", {}),
    ("fitnets", {"variant": "crd"}),
    ("fitnets", {"variant": "two_stage"}),
    ("rkd", {}),
    ("nst", {}),
    ("null", {}),
    ("label_smoothing", {}),
    ("shuffled_teacher", {}),
    ("random_teacher", {}),
    ("self", {}),
]
TAUGHT = [case for case in CASES if "teacher" in methods.load(case[0]).needs]
PAIRS = {
    "same": ("ResNet20", "ResNetBaby"),
    "heterogeneous": ("Odd", "ResNetBaby"),
    "heterogeneous, reversed": ("ResNetBaby", "Odd"),
}
TRIES = 20


def test_every_method_is_in_the_table() -> None:
    assert {name for name, _ in CASES} == {*methods.names()}


def optimize(
    method: Method, student: Network, teacher: Network, precision: str, epoch: int
) -> dict[str, float]:
    """Step until the scaler lets one through, as the loop does; returns the terms."""
    batch = make_batch()
    reference = coefficients(method.reference(method.config), "reference", None)
    weights = method.weights(reference, epoch, 4)
    own = [p for p in method.parameters() if p.requires_grad]
    parameters = [*student.parameters(), *own]
    optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", enabled=precision == "fp16")
    for _ in range(TRIES):
        with autocast(precision, CPU):
            with torch.no_grad():
                taught = teacher(batch.images)
            outputs = student(batch.images).float()
        with full_precision(CPU):
            terms = {"ce": method.task_loss(outputs, batch, 0.0)}
            if "teacher" in method.needs:
                terms |= method.terms(outputs, taught.float(), batch)
            assert terms.keys() == weights.keys()
            total = torch.stack([weights[name] * terms[name] for name in terms]).sum()
        optimizer.zero_grad()
        torch.autograd.backward(scaler.scale(total))
        scaler.unscale_(optimizer)
        before = scaler.get_scale()
        finite = all(torch.isfinite(p.grad).all() for p in parameters if p.grad is not None)
        scaler.step(optimizer)
        scaler.update()
        if scaler.get_scale() >= before:
            assert finite
            break
    else:
        pytest.fail(f"the scaler skipped {TRIES} steps in a row")
    assert all(term.dtype == torch.float32 and term.dim() == 0 for term in terms.values())
    return {name: term.item() for name, term in terms.items()}


@pytest.mark.parametrize("precision", ["fp32", *DTYPES])
@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda x: str(x))
def test_one_step_changes_the_student_and_leaves_the_teacher(
    name: str, options: dict[str, object], pair: str, precision: str
) -> None:
    teacher, student = map(network, PAIRS[pair])
    teacher.eval().requires_grad_(False)
    student.train()
    method = make_method(name, student, teacher, **options)
    if work := method.pretraining():
        epochs = [[make_batch()]] * work.key["epochs"]
        work.train(teacher, epochs)
    taught, learnt = copy.deepcopy(teacher.state_dict()), copy.deepcopy(student.state_dict())
    optimize(method, student, teacher, precision, epoch=0)
    for key, value in teacher.state_dict().items():
        assert torch.equal(value, taught[key])
    groups = [n for n, p in student.named_parameters() if not torch.equal(p, learnt[n])]
    assert len(groups) >= len([*student.parameters()]) / 3
    if name != "fitnets" or options["variant"] == "crd":  # hints reach the lower half only
        assert any(key.startswith("head") for key in groups)


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda x: str(x))
def test_every_trainable_parameter_of_a_method_is_trained(
    name: str, options: dict[str, object]
) -> None:
    teacher, student = network("ResNet20").eval(), network("ResNetBaby").train()
    method = make_method(name, student, teacher, **options)
    before = copy.deepcopy(method.state_dict())
    optimize(method, student, teacher, "fp32", epoch=0)
    for key, parameter in method.named_parameters():
        assert torch.equal(parameter, before[key]) != parameter.requires_grad, key


@pytest.mark.parametrize(("name", "options"), TAUGHT, ids=lambda x: str(x))
def test_distillation_alone_reaches_the_student(name: str, options: dict[str, object]) -> None:
    teacher, student = network("ResNet20").eval(), network("ResNetBaby").train()
    method = make_method(name, student, teacher, **options)
    batch = make_batch()
    with torch.no_grad():
        taught = teacher(batch.images)
    for name, term in method.terms(student(batch.images), taught, batch).items():
        gradient = torch.autograd.grad(term, student.conv.weight, retain_graph=True)[0]
        assert gradient.norm() > 0, name


@pytest.mark.parametrize("pair", [("ResNet56", "MobileNet"), ("MobileNet", "ResNetBaby")])
@pytest.mark.parametrize(("name", "options"), TAUGHT, ids=lambda x: str(x))
def test_torchvision_mobilenet_at_32_pixels(
    name: str, options: dict[str, object], pair: tuple[str, str]
) -> None:
    teacher, student = map(network, pair)
    method = make_method(name, student, teacher.eval(), size=32, **options)
    batch = make_batch(32, 4)
    with torch.no_grad():
        taught = teacher(batch.images)
    terms = method.terms(student(batch.images), taught, batch)
    torch.autograd.backward(torch.stack([*terms.values()]).sum())
    gradients = [p.grad for p in student.parameters() if p.grad is not None]
    assert gradients
    assert all(torch.isfinite(g).all() for g in gradients)


def test_terms_go_down_when_only_they_are_trained() -> None:
    """Each distillation loss, followed alone for some steps, falls: its gradient is its own."""
    for name, options in TAUGHT:
        teacher, student = network("ResNet20").eval(), network("ResNetBaby").train()
        method = make_method(name, student, teacher, **options)
        batch = make_batch()
        with torch.no_grad():
            taught = teacher(batch.images)
        optimizer = torch.optim.Adam([*student.parameters(), *method.parameters()], lr=1e-3)
        history = []
        for _ in range(15):
            terms = method.terms(student(batch.images), taught, batch)
            total = torch.stack([*terms.values()]).sum()
            optimizer.zero_grad()
            torch.autograd.backward(total)
            optimizer.step()
            history.append(total.item())
        assert history[-1] < 0.9 * history[0], name
