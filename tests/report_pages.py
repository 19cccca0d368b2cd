"""Pages for the tests: hostile names and log lines, and a round of 312 runs."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image as Pictures

from stillhouse.show.report.analysis import MOST_BYTES
from stillhouse.show.report.document import (
    Checklist,
    Document,
    Image,
    Paragraph,
    RunSection,
    Section,
    Task,
)
from stillhouse.show.report.pictures import curves
from stillhouse.tables import Item, Listing, Table

HOSTILE = '<script>alert("x")</script> "quoted" \x1b[31mred \u202egnp.exe & <b>'
STATES = ("done", "running", "failed", "at chance")


def images(count: int, total: int, hostile: str) -> tuple[Image, ...]:
    """Pictures of noise, which do not shrink, of about so many bytes together."""
    height = math.isqrt(total // count // 2)
    noise = np.random.default_rng(0).integers(0, 256, (height, 2 * height), np.uint8)
    file = io.BytesIO()
    Pictures.fromarray(noise).save(file, "PNG")
    caption = (f"What is shown, {hostile}", "How to read it.")
    return tuple(
        Image(file.getvalue(), 2 * height, height, f"Figure {n} {hostile}", caption, f"{n}.png")
        for n in range(count)
    )


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
            Section("figures", "Figures", images(60, min(MOST_BYTES, 6000 * runs), hostile)),
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
