"""`list methods NAME`: what a method is, how it is weighed, what it adds and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from stillhouse import data, methods, models
from stillhouse.config.expand import expand
from stillhouse.config.identity import as_written
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import Round, RunConfig, Teacher, Training
from stillhouse.data.base import Batch
from stillhouse.errors import unknown_name
from stillhouse.methods.base import Method, TrainingImages
from stillhouse.models.base import Network, Outputs
from stillhouse.show.plan import loss_text
from stillhouse.tables import Table
from stillhouse.training.precision import configure

DATASET, TEACHER, STUDENT = "Cifar100", "ResNet112", "ResNet56"
IMAGES = 8
REPEATS = 3
TAUGHT_BY = {
    "teacher": "the round's teacher",
    "student": "the student's own pure run",
    "nobody": "nobody",
}
NOTES = (
    "loss: coefficients of cross entropy and of each unweighted term, and in brackets the "
    "effective ratio to cross entropy",
    "extra parameters are those beside the student's and the teacher's; frozen ones were trained "
    "before, or never",
    f"time: processor time of a step's parts on {IMAGES} random images, relative to the pure "
    "student's forward and backward pass; the students of a cohort share the teacher's pass, and "
    "pretraining is not in it",
)
Rows = list[tuple[str, str | None]]


def explain(method: str, round_: Round | None) -> Table:
    """What a method is; and its weights, extra parameters and cost in each cell of a round.

    Without a round, in the study's pair at its published total. Raises ConfigError if there is
    no such method, or not in the round.
    """
    files = round_.files if round_ else ()
    kind = methods.load(method, files)
    runs = _runs(method, round_) if round_ else [_example(method)]
    rows = (*_card(kind, methods.declared(method, files).summary), *_cells(runs))
    return Table(f"{method}: {kind.label}", ("What", "Is"), rows, NOTES)


def _runs(method: str, round_: Round) -> list[RunConfig]:
    found: dict[tuple[object, ...], RunConfig] = {}
    for run in expand(round_):
        axes = tuple(run.axes.items())
        found.setdefault((run.method, run.dataset, run.model, axes), run)
    runs = [run for run in found.values() if run.method == method]
    if not runs:
        known = {run.method for run in found.values()}
        raise unknown_name(f"method of round {round_.round}:", method, known)
    return runs


def _example(method: str) -> RunConfig:
    by = {
        "teacher": Teacher(model=TEACHER, seed=0),
        "student": Teacher(model=STUDENT, seed=0),
    }
    teacher = by.get(methods.declared(method).taught_by)
    return RunConfig(dataset=DATASET, method=method, model=STUDENT, seed=0, teacher=teacher)


def _card(kind: type[Method], summary: str) -> Rows:
    settings = [f"{k} = {as_written(v)}" for k, v in kind.Config().model_dump().items()]
    return [
        ("source", summary),
        ("formula", kind.card.formula),
        ("layers", kind.card.layers),
        ("taught by", TAUGHT_BY[kind.taught_by]),
        ("parameters", ", ".join(settings) or None),
        *(("hazard", hazard) for hazard in kind.card.hazards),
    ]


def _cells(runs: Iterable[RunConfig]) -> Rows:
    measured: dict[tuple[object, ...], Rows] = {}
    rows: Rows = []
    for run in map(resolve, runs):
        shape = (run.dataset, run.teacher and run.teacher.model, run.model, str(run.parameters))
        if shape not in measured:
            measured[shape] = _extra(_build(run))
        axes = "".join(f", {name} {value:g}" for name, value in run.axes.items())
        pair = f"{run.teacher.model} to {run.model}" if run.teacher else run.model
        rows.append(("with", f"{run.dataset}, {pair}{axes}"))
        rows += [("loss", loss_text(run)), *measured[shape]]
    return rows


@dataclass(frozen=True)
class _Parts:
    """A method with the networks it stands between, and random images of the dataset's shape."""

    student: Network
    teacher: Network | None
    method: Method
    batch: Batch


def _build(run: RunConfig) -> _Parts:
    spec = data.spec(run.dataset, run.files)
    student = models.build(run.model, spec, run.files)
    teacher = None
    if run.teacher:
        teacher = models.build(run.teacher.model, spec, run.files)
        teacher.requires_grad_(False).eval()
    rows = torch.arange(run.training.train_images or spec.train_images)
    labels = rows % spec.classes  # the dataset need not be here: cost depends on the number alone
    kind, known = methods.load(run.method, run.files), TrainingImages(rows, labels, len(rows))
    method = methods.make(kind, run.parameters, student, teacher, spec, known)
    images = torch.randn(IMAGES, spec.channels, spec.size, spec.size)
    batch = Batch(images, labels[:IMAGES], rows[:IMAGES])
    return _Parts(student, teacher, method, batch)


def _extra(parts: _Parts) -> Rows:
    counts = {True: 0, False: 0}
    for parameter in parts.method.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    before = parts.method.pretraining()
    frozen = f", {counts[False]:,} frozen" if counts[False] else ""
    if before:
        frozen += f" (pretrained for {before.key['epochs']} epochs, once per teacher)"
    return [("extra parameters", f"{counts[True]:,} trained{frozen}"), ("time", _cost(parts))]


def _cost(parts: _Parts) -> str:
    images, labels = parts.batch.images, parts.batch.labels

    def step() -> None:
        _backward(F.cross_entropy(parts.student(images).logits, labels), parts.student)

    if parts.teacher is None:
        return "as pure"
    configure(Training())  # waiting threads would count as processor time
    unit, teacher = _seconds(step), parts.teacher
    with torch.no_grad():
        taught: Outputs = teacher(images).float()
        forward = _seconds(lambda: teacher(images))
    outputs: Outputs = parts.student(images)
    leaves = {name: value.detach().requires_grad_() for name, value in outputs.features.items()}
    learnt = Outputs(outputs.logits.detach().requires_grad_(), leaves)

    def terms() -> None:
        found = parts.method.terms(learnt, taught, parts.batch)
        _backward(torch.stack([*found.values()]).sum(), parts.method)

    return f"teacher {forward / unit:.0%}, method {_seconds(terms) / unit:.0%}"


def _backward(loss: torch.Tensor, module: nn.Module) -> None:
    module.zero_grad()
    torch.autograd.backward(loss)


def _seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(REPEATS):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return min(times)
