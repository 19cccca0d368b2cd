"""A small trained round with custom components: a model, and a method with a part of its own."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import torch

from fake_rounds import Bench
from stillhouse.config.resolve import resolve
from stillhouse.represent.store import FILE
from stillhouse.runs.process import stop_signals
from stillhouse.show.extract import extract_table
from stillhouse.tables import Table
from stillhouse.training.reopen import Place
from stillhouse.training.worker import work

EXAMPLES = Path(__file__).parents[1] / "examples"
WIDENED = '''"""The inference model is not the student: a scale of its own is part of it."""

import torch
from torch import nn

from stillhouse.methods.base import Card, Method, Reference
from stillhouse.models.base import Outputs


class Scaled(nn.Module):
    def __init__(self, student, scale):
        super().__init__()
        self.student, self.scale = student, scale

    def forward(self, images):
        out = self.student(images)
        return Outputs(out.logits * self.scale.exp(), out.features)


class Widened(Method):
    """Cross entropy to the teacher's classes; the trained model has a scale beside the student."""

    label = "Widened"
    card = Card("match = (z_s - z_t)^2", "logits", ())

    def __init__(self, config, student, teacher):
        super().__init__(config, student, teacher)
        self.scale = nn.Parameter(torch.full((), 0.5))

    @classmethod
    def reference(cls, config):
        return Reference(ce=1.0, weights={"match": 0.1})

    def terms(self, student, teacher, batch):
        logits = student.logits * self.scale.exp()
        return {"match": (logits - teacher.logits).square().mean()}

    def inference_model(self, student):
        return Scaled(student, self.scale)
'''
CHANGES = {
    "teacher": "ResNetBaby",
    "students": ["own_model"],
    "methods": ["pure", "logit", "widened"],
    "seeds": [0],
    "files": ["../own/own_model.py", "../own/widened.py"],
    "training": {
        "epochs": 2,
        "batch_size": 64,
        "learning_rate": 0.05,
        "train_images": 600,
        "validation": 100,
    },
}
TEACHER = "Digits/pure/ResNetBaby/0"
PURE = "Digits/pure/own_model/0"
LOGIT = "Digits/logit/ResNetBaby_to_own_model/0"
WIDE = "Digits/widened/ResNetBaby_to_own_model/0"


def train(bench: Bench) -> None:
    """Train the whole round in this process, teachers first."""
    place = Place(
        bench.workspace.experiments,
        bench.workspace.teachers(bench.round),
        bench.workspace.root,
        torch.device("cpu"),
        keep=bench.round.keep,
    )
    problems: list[str] = []
    handlers = {number: signal.getsignal(number) for number in stop_signals()}
    for taught in (False, True):
        runs = [resolve(run) for run in bench.runs.values() if (run.teacher is not None) == taught]
        if runs:
            work(runs, place, None, None, lambda text: None, problems.append)
    for number, handler in handlers.items():  # a worker's own, which would hold Ctrl-C back
        signal.signal(number, handler)
    assert problems == []


def extracted(bench: Bench, weights: str = "final", **options: Any) -> tuple[Table, bool]:
    workspace = bench.workspace
    only = options.pop("only", None)
    given = {"data_root": workspace.root, "device": "cpu", "jobs": 1, "log": lambda text: None}
    return extract_table(workspace, bench.look(only), weights, **(given | options))


def counts(table: Table) -> dict[str, Any]:
    (row,) = table.rows
    return dict(zip(table.columns, row, strict=True))


def store(bench: Bench, path: str) -> Path:
    return bench.folder(path).path / FILE
