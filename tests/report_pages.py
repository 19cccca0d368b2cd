"""Pages for the tests: hostile names and log lines, and a round of 312 runs."""

from __future__ import annotations

import math

from stillhouse.show.report.document import (
    Checklist,
    Document,
    Paragraph,
    RunSection,
    Section,
    Task,
)
from stillhouse.show.report.pictures import curves
from stillhouse.tables import Item, Listing, Table

HOSTILE = '<script>alert("x")</script> "quoted" \x1b[31mred \u202egnp.exe & <b>'
STATES = ("done", "running", "failed", "at chance")


def large(runs: int = 312, epochs: int = 150, hostile: str = HOSTILE) -> Document:
    """A round of many runs with full curves, causes and log lines."""
    paths = [f"Cifar10/method_{i % 26}/ResNet112_to_ResNet56/{i}" for i in range(runs)]
    curve = [90 - 60 * math.exp(-epoch / 30) for epoch in range(epochs)]
    rows = tuple(
        (path, STATES[i % 4], None if i % 4 else 80 + (i * 7 % 90) / 10, -1.2 + i / 10, hostile)
        for i, path in enumerate(paths)
    )
    log = tuple((n, f"epoch {n} {hostile}") for n in range(12))
    results = Table(
        "CIFAR-10",
        ("Model / Method", "Seed 0", "Mean ± Std"),
        tuple((f"Method {i}", f"{i}.50", f"{9.5 + i:.1f} ± 0.3") for i in range(26)),
    )
    return Document(
        title="Experiment Large",
        status="training: 78 of 312 runs are complete and valid",
        started="2026-02-20",
        summary=(
            Paragraph("Missing: 78 running.", strong=True),
            Table("Runs", ("Method", "Cifar10"), (("logit", "●●●"),), ("● valid.",)),
            Listing("Key observations", (Item("alarm", hostile, (hostile,)),)),
        ),
        sections=(
            Section("table Cifar10", "CIFAR-10", (results,)),
            Section("checklist", "Checklist", (Checklist((Task("Fill", True),)),)),
        ),
        all_runs=Table("All runs", ("Run", "State", "Accuracy %", "Change", "Reason"), rows),
        runs=tuple(
            RunSection(path, STATES[i % 4], "m", (
                curves(path, curve, [*curve]),
                Listing("Doctor", (Item("failed", hostile),)),
                Table("The end of train.log", ("Line", "Text"), log),
            ))
            for i, path in enumerate(paths)
        ),
    )  # fmt: skip
