"""Cases on paper: a healthy run, and what must change for a rule to speak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stillhouse.config.schema import RunConfig, Teacher, Training
from stillhouse.diagnosis.case import Case, Peers
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.finding import Line
from stillhouse.runs.state import RunState

RISING = (40.0, 55.0, 65.0, 72.0, 77.0, 80.0, 82.0, 83.0, 83.5, 83.6)
RATES = (0.1, 0.098, 0.09, 0.08, 0.065, 0.05, 0.035, 0.02, 0.01, 0.002)
FALLING = (2.0, 1.6, 1.3, 1.1, 0.9, 0.8, 0.7, 0.65, 0.62, 0.6)
DONE = RunState("done", epoch=10)
LOG = Path("slurm-7.err")


def config(
    method: str = "pure", seed: int = 0, model: str = "ResNet56", **recipe: Any
) -> RunConfig:
    teacher = None if method == "pure" else Teacher(model="ResNet112", seed=seed)
    training = Training(**{"epochs": 10, "learning_rate": 0.1} | recipe)
    return RunConfig(
        dataset="Cifar10", method=method, model=model, seed=seed, teacher=teacher, training=training
    )


def records(
    accuracy: Sequence[float] = RISING, bare: bool = False, **series: Sequence[float | None]
) -> tuple[dict[str, Any], ...]:
    """Ten epochs of a healthy run; `series` replaces fields (`test__ce` is test.ce, None: drop).

    `bare` leaves only what the earlier scripts recorded: losses and accuracies.
    """
    columns: dict[str, Sequence[float | None]] = {
        "train__total": FALLING,
        "train__accuracy": accuracy,
        "test__accuracy": accuracy,
        "test__ce": FALLING,
    }
    if not bare:
        columns |= {
            "lr": RATES,
            "test__classes_predicted": (10,) * 10,
            "update_ratio": (0.5,) * 10,
            "scaler__skipped": (0,) * 10,
            "time__seconds": (20.0,) * 10,
        }
    columns |= series
    found: list[dict[str, Any]] = [{"epoch": n} for n in range(1, 11)]
    for name, values in columns.items():
        for record, value in zip(found, values, strict=False):
            *outer, last = name.split("__")
            home = record
            for key in outer:
                home = home.setdefault(key, {})
            home[last] = value
    return tuple(found[: len(accuracy)])


def case(method: str = "pure", state: RunState = DONE, **changes: Any) -> Case:
    """A healthy completed run with curves of its own, some fields of the case changed."""
    known: dict[str, Any] = {"config": config(method), "state": state} | changes
    own = len(known["config"].path) + known["config"].seed
    curves = records(test__ce=[value + own / 1e6 for value in FALLING])
    peers = known.pop("peers", ())
    return among(Case(**{"records": curves} | known), *peers)


def among(case: Case, *others: Case) -> Case:
    """A case in a dataset of other runs."""
    return replace(case, peers=Peers((case, *others)))


def with_log(case: Case, *lines: Line) -> Case:
    """A case whose logs have these lines."""
    return replace(case, read_lines=lambda: lines)


def taught(ratio: float, cosine: float = 0.2, **series: Sequence[float]) -> tuple[Any, ...]:
    """Records of a student whose distillation gradient is `ratio` times the task's."""
    return records(
        gradients__ce=(1.0,) * 10,
        gradients__kd=(ratio,) * 10,
        gradients__cosine=(cosine,) * 10,
        **{"train__ce": FALLING, **series},
    )


def shifted(points: float) -> tuple[float, ...]:
    return tuple(value - points for value in RISING)


def ended(word: str, reason: str = "", *log: str, code: str = "", **changes: Any) -> Case:
    """A run that ended in a state, with lines that a scheduler or another program wrote."""
    lines = tuple(Line(LOG, number, text) for number, text in enumerate(log, start=1))
    state = RunState(word, reason, epoch=3, code=code)  # type: ignore[arg-type]
    return with_log(case(state=state, records=records()[:3], **changes), *lines)


def causes(case: Case) -> list[str]:
    return [finding.code for finding in diagnose(case)]
