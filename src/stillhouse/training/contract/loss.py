"""Check a method's terms for student and teacher, one step at a time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from stillhouse import methods
from stillhouse.config.schema import Precision
from stillhouse.models.base import Outputs
from stillhouse.training.contract.setup import EPOCHS, PAIRS, MethodCase, Setup, weights
from stillhouse.training.contract.verdict import require


def terms_are_finite_float32_scalars(case: MethodCase) -> None:
    """Terms are finite float32 scalars; cross entropy too, which a method may replace."""
    for pair in PAIRS:
        setup = case.setup(pair)
        for name, term in setup.terms(setup.forward(setup.student)).items():
            require(
                isinstance(term, Tensor) and term.dtype == torch.float32 and term.dim() == 0,
                f"the term '{name}' is {_describe(term)}, not a float32 scalar",
                "reduce it with mean() or sum()",
            )
            require(bool(term.isfinite()), f"the term '{name}' is {term.item()}")


def every_term_reaches_the_student(case: MethodCase) -> None:
    """Every term has a gradient in the student; otherwise it teaches nothing."""
    setup = case.setup()
    parameters = [*setup.student.parameters()]
    for name, term in setup.terms(setup.student(setup.batch.images)).items():
        reached = term.requires_grad and any(
            g is not None and bool(g.any())
            for g in torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        )
        require(
            reached,
            f"the term '{name}' has no gradient in the student",
            "compute it from the student's outputs, and detach the teacher's only",
        )


def the_teacher_is_left_as_it_was(case: MethodCase) -> None:
    """The teacher's weights, statistics and mode are unchanged; the method holds no part of it."""
    if not case.has_teacher:
        return
    setup = case.setup()
    before = weights(case.setup().teacher)
    trainer = setup.trainer()
    for epoch in range(EPOCHS):
        setup.step(trainer, epoch)
    for name, value in setup.teacher.state_dict().items():
        require(torch.equal(value, before[name]), f"the teacher's {name} changed")
    require(
        not any(p.requires_grad or p.grad is not None for p in setup.teacher.parameters()),
        "the teacher's parameters take gradients",
        "do not change the network given to bind_teacher",
    )
    modes = any(part.training for part in setup.teacher.modules())
    require(not modes, "the teacher is no longer in eval mode", "do not change its mode")
    taught = {id(value) for value in (*setup.teacher.parameters(), *setup.teacher.buffers())}
    for name, value in (*setup.method.named_parameters(), *setup.method.named_buffers()):
        require(
            id(value) not in taught,
            f"the method's {name} is the teacher's own and would be saved with it",
            "copy the part that it keeps with copy.deepcopy",
        )


def a_step_trains(case: MethodCase, pair: str, precision: Precision) -> None:
    """A step of the loop changes the student, and every value stays finite."""
    setup = case.setup(pair)
    before = weights(setup.student)
    setup.step(setup.trainer(precision))
    moved = [
        name for name, p in setup.student.named_parameters() if not torch.equal(p, before[name])
    ]
    require(bool(moved), "a step changes no weight of the student")
    for name, p in setup.student.named_parameters():
        for what, value in (("weight", p), ("gradient", p.grad)):
            finite = value is None or bool(value.isfinite().all())
            require(finite, f"the {what} of {name} is not finite")


def a_run_trains_every_layer(case: MethodCase) -> None:
    """After a step in each epoch every trainable weight has moved, and no frozen one.

    A weight of the student that the evaluated network does not use may stay.
    """
    setup = case.setup()
    parts = {"the student's": setup.student, "the method's": setup.method}
    before = {whose: weights(part) for whose, part in parts.items()}
    trainer = setup.trainer()
    for epoch in range(EPOCHS):
        setup.step(trainer, epoch)
    unused = _unused(setup)
    for whose, part in parts.items():
        for name, p in part.named_parameters():
            moved = not torch.equal(p, before[whose][name])
            require(
                moved == p.requires_grad or (not moved and p in unused),
                f"{whose} {name} {'moved though frozen' if moved else 'was never trained'}",
                "freeze what is not to be trained with requires_grad_(False)",
            )


def _unused(setup: Setup) -> set[torch.nn.Parameter]:
    """Return the student's parameters that the logits of the evaluated network do not depend on."""
    model, parameters = setup.method.inference_model(setup.student), [*setup.student.parameters()]
    if model is setup.student:
        return set()
    logits = model.eval()(setup.batch.images).logits
    gradients = torch.autograd.grad(logits.sum(), parameters, allow_unused=True)
    return {p for p, gradient in zip(parameters, gradients, strict=True) if gradient is None}


def the_same_seed_draws_the_same(case: MethodCase) -> None:
    """All random numbers come from torch's global generator, seeded before each step."""
    first = case.setup()
    expected = _seeded(first, first.forward(first.student))
    random.random()
    np.random.rand()
    again = case.setup()
    found = _seeded(again, again.forward(again.student))
    hint = "use only torch's global generator"
    _require_equal(expected, found, "differs between two calls with the same seed", hint)


def its_state_survives_a_file(case: MethodCase) -> None:
    """The state that determines the terms is in `state_dict`, as plain tensors."""
    setup = case.setup()
    for name, value in setup.method.state_dict().items():
        tensor = isinstance(value, Tensor)
        require(tensor, f"state_dict holds {name}, a {type(value).__name__}", "use only tensors")
    trainer = setup.trainer()
    for epoch in range(2):
        setup.step(trainer, epoch)
    state = {name: value.contiguous() for name, value in setup.method.state_dict().items()}
    loaded = safetensors.torch.load(safetensors.torch.save(state))
    fresh = case.setup()
    fresh.method.load_state_dict(loaded)
    outputs = setup.forward(setup.student)
    _require_equal(
        _seeded(setup, outputs),
        _seeded(fresh, outputs),
        "differs after the state was saved and loaded",
        "keep what changes in training in parameters or in buffers (register_buffer)",
    )


def mixed_images_have_no_first_label(case: MethodCase) -> None:
    """With `mixed_images` no term changes if the two labels of an image change places."""
    said = methods.declared(case.name, case.files).mixed_images
    require(
        case.kind.mixed_images == said,
        f"mixed_images is {case.kind.mixed_images}, but the file's text says {said}",
        "write mixed_images = True in the body of the class: it is read without running the file",
    )
    if not case.kind.mixed_images:
        return
    setup = case.setup()
    shares = torch.full((len(setup.batch.labels),), 0.25)
    labels, partners = setup.batch.labels, setup.batch.labels.roll(1)
    outputs, found = setup.forward(setup.student), []
    for batch in (
        replace(setup.batch, partners=partners, shares=shares),
        replace(setup.batch, labels=partners, partners=labels, shares=1 - shares),
    ):
        setup.batch = batch
        found.append(_seeded(setup, outputs))
    for name, value in found[0].items():
        require(
            torch.allclose(value, found[1][name]),
            f"the term '{name}' changes where the two labels of a mixed image change places",
            "leave out `mixed_images`, or weigh both labels: methods.base.cross_entropy does",
        )


def _seeded(setup: Setup, outputs: Outputs) -> dict[str, Tensor]:
    torch.manual_seed(5)
    return setup.terms(outputs)


def _require_equal(
    first: dict[str, Tensor], second: dict[str, Tensor], broken: str, hint: str
) -> None:
    for name, value in first.items():
        same = torch.equal(value, second[name])
        require(same, f"the term '{name}' {broken}: {value:.9g} and {second[name]:.9g}", hint)


def _describe(term: object) -> str:
    if isinstance(term, Tensor):
        return f"{str(term.dtype).removeprefix('torch.')} of shape {tuple(term.shape)}"
    return f"a {type(term).__name__}"


PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
CHECKS: dict[str, Callable[[MethodCase], None]] = {
    "terms are finite float32 scalars": terms_are_finite_float32_scalars,
    "every term reaches the student": every_term_reaches_the_student,
    "the teacher is left as it was": the_teacher_is_left_as_it_was,
    **{
        f"a step trains in {precision}, {pair}": partial(
            a_step_trains, pair=pair, precision=precision
        )
        for pair in PAIRS
        for precision in PRECISIONS
    },
    "a run trains every layer": a_run_trains_every_layer,
    "the same seed draws the same": the_same_seed_draws_the_same,
    "its state survives a file": its_state_survives_a_file,
    "mixed images have no first label": mixed_images_have_no_first_label,
}
