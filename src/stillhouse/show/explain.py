"""`list methods NAME`: what a method is, how it is weighed, what it adds and what it costs."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from stillhouse import methods
from stillhouse.config.expand import expand
from stillhouse.config.identity import as_written
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import PURE, Distillation, Round, RunConfig, Teacher
from stillhouse.errors import unknown_name
from stillhouse.methods.base import Method
from stillhouse.show.plan import loss_text
from stillhouse.tables import Table
from stillhouse.training.timing import seconds_per_image, untrained

DATASET, TEACHER, STUDENT = "Cifar100", "ResNet112", "ResNet56"
CPU = torch.device("cpu")
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
    "time: of a training step, relative to one of the pure student, timed on random images; the "
    "students of a cohort share the teacher's pass, and pretraining is not in it",
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
        axes = (*run.axes.items(), run.teacher and run.teacher.model)
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
        ("mixup, cutmix", "yes" if kind.mixed_images else "no: it needs one label per image"),
        ("parameters", ", ".join(settings) or None),
        *(("hazard", hazard) for hazard in kind.card.hazards),
    ]


def _cells(runs: Iterable[RunConfig]) -> Rows:
    measured: dict[tuple[object, ...], Rows] = {}
    rows: Rows = []
    for run in map(resolve, runs):
        shape = (run.dataset, run.teacher and run.teacher.model, run.model, str(run.parameters))
        if shape not in measured:
            measured[shape] = _extra(run)
        axes = "".join(f", {name} {value:g}" for name, value in run.axes.items())
        pair = f"{run.teacher.model} to {run.model}" if run.teacher else run.model
        rows.append(("with", f"{run.dataset}, {pair}{axes}"))
        rows += [("loss", loss_text(run)), *measured[shape]]
    return rows


def _extra(run: RunConfig) -> Rows:
    trainer, _, _ = untrained(run, CPU)
    counts = {True: 0, False: 0}
    for parameter in trainer.method.parameters():
        counts[parameter.requires_grad] += parameter.numel()
    before = trainer.method.pretraining()
    frozen = f", {counts[False]:,} frozen" if counts[False] else ""
    if before:
        frozen += f" (pretrained for {before.key['epochs']} epochs, once per teacher)"
    return [("extra parameters", f"{counts[True]:,} trained{frozen}"), ("time", _time(run))]


def _time(run: RunConfig) -> str:
    if run.method == PURE:
        return "the unit"
    alone: dict[str, object] = {
        "method": PURE,
        "teacher": None,
        "parameters": {},
        "distillation": Distillation(),
    }
    pure = run.model_copy(update=alone)
    return f"{seconds_per_image(run, CPU) / seconds_per_image(pure, CPU):.1f} x pure"
