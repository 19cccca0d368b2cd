"""The contract of every method and variant that is built in."""

from __future__ import annotations

import pytest
import torch

from stillhouse import methods
from stillhouse.training.contract import declaration, hostile, loss
from stillhouse.training.contract.setup import EPOCHS, MethodCase
from training.contract.cases import CASES, PRODUCT, case_id

HOSTILE = 3  # hostile inputs of each case in the default suite
SLOW = {"vid": 0.999}  # a constant, log 5 / 2 for each pair, is most of the loss
CHECKS = declaration.CHECKS | loss.CHECKS | hostile.CHECKS


def test_every_method_is_in_the_table() -> None:
    assert {case.name for case in CASES} == {*methods.names()}


def in_default(number: int, check: str) -> bool:
    """Whether a case has a check in the default suite: `make contract` has the whole product.

    Of the steps in each precision between each pair, and of the hostile inputs, a case has a few,
    and each of them falls to several cases.
    """
    steps = [name for name in CHECKS if name.startswith("a step trains")]
    inputs = [*hostile.CHECKS]
    if check in inputs:
        return (inputs.index(check) - number) % len(inputs) < HOSTILE
    if check in steps:
        return check in (steps[0], steps[1 + number % (len(steps) - 1)])
    return True


@pytest.mark.parametrize(
    ("case", "check"),
    [
        pytest.param(
            case,
            check,
            id=f"{case_id(case)}-{check}",
            marks=[] if in_default(number, check) else PRODUCT,
        )
        for number, case in enumerate(CASES)
        for check in CHECKS
    ],
)
def test_contract(case: MethodCase, check: str) -> None:
    CHECKS[check](case)


@pytest.mark.parametrize("case", [case for case in CASES if case.has_teacher], ids=case_id)
def test_terms_go_down_when_only_they_are_trained(case: MethodCase) -> None:
    """Each distillation loss, followed alone for some steps, falls: its gradient is its own."""
    setup = case.setup()
    parameters = [*setup.student.parameters(), *setup.method.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    history = []
    for _ in range(15):
        terms = setup.terms(setup.student(setup.batch.images))
        total = torch.stack([value for name, value in terms.items() if name != "ce"]).sum()
        optimizer.zero_grad()
        torch.autograd.backward(total)
        optimizer.step()
        history.append(total.item())
    assert history[-1] < SLOW.get(case.name, 0.9) * history[0]


def test_a_step_of_the_contract_is_one_of_the_loop() -> None:
    """The trainer stands in the epoch it was put into, one step on, and learns at its rate."""
    setup = MethodCase("logit").setup()
    trainer = setup.trainer()
    setup.step(trainer, EPOCHS - 1)
    assert trainer.position == (EPOCHS - 1, 1)
    assert 0 < trainer.optimizer.param_groups[0]["lr"] < trainer.config.training.learning_rate
