"""The arms of a round: what stands in one row of its tables and figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stillhouse.config import names
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.state import RunState
from stillhouse.stats.summary import Summary, summarise

Which = Literal["final", "best"]
Role = Literal["teacher", "pure", "method"]
ORDER = (
    "pure",
    "logit",
    "factor_transfer",
    "attention_transfer",
    "fitnets",
    "nst",
    "rkd",
)


@dataclass(frozen=True)
class Arm:
    """The runs of one dataset that differ in their seed only.

    Only runs that are completed and sound count: a run that learned nothing is a failure.
    """

    label: str
    role: Role
    method: str
    model: str
    axes: str
    cells: tuple[Cell, ...]
    which: Which

    @property
    def name(self) -> str:
        """The label without the values of swept axes."""
        return self.label.removesuffix(self.axes).strip()

    @property
    def sound(self) -> tuple[Cell, ...]:
        """The completed runs that learned something."""
        return tuple(cell for cell in self.cells if cell.shown == "done")

    @property
    def by_seed(self) -> dict[int, float]:
        """The accuracies of the sound runs in percent, by seed."""
        found = {cell.config.seed: accuracy_of(cell.state, self.which) for cell in self.sound}
        return {seed: value for seed, value in found.items() if value is not None}

    @property
    def values(self) -> list[float]:
        """The accuracies of the sound runs in percent, in the order of their seeds."""
        return list(self.by_seed.values())

    @property
    def summary(self) -> Summary:
        """Their mean and sample standard deviation."""
        return summarise(self.values)


def accuracy_of(state: RunState, which: Which) -> float | None:
    """A completed run's test accuracy in percent: of its final epoch, or of its best.

    The best epoch is chosen on the validation images where there are some, else on the test
    images themselves.
    """
    if state.result is None:
        return None
    if which == "final":
        return float(state.result["final"]["test"]["accuracy"])
    return float(state.result["best"]["test_accuracy"])


def arms(seen: Survey, dataset: str, which: Which = "final") -> list[Arm]:
    """A dataset's arms in the order of the tables: teacher, pure students, methods."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in seen.cells:
        run = cell.config
        if run.dataset == dataset:
            axes = " ".join(f"{name}={value:g}" for name, value in run.axes.items())
            groups.setdefault((run.method, run.model, axes), []).append(cell)
    found = [_arm(seen, *row, cells, which) for row, cells in groups.items()]
    return sorted(found, key=_place)


def _arm(seen: Survey, method: str, model: str, axes: str, cells: list[Cell], which: Which) -> Arm:
    role: Role = "method"
    several = f" ({model})" if len(seen.round.students) > 1 else ""
    label = f"{names.label(method, seen.round.files)}{several} {axes}".strip()
    if method == "pure":
        teaches = seen.round.teachers_from is None and model == seen.round.teacher
        role = "teacher" if teaches else "pure"
        label = f"{'Teacher' if teaches else 'Student pure'} ({model})"
    cells = sorted(cells, key=lambda cell: cell.config.seed)
    return Arm(label, role, method, model, axes, tuple(cells), which)


def _place(arm: Arm) -> tuple[bool, int, str, str, str]:
    known = ORDER.index(arm.method) if arm.method in ORDER else len(ORDER)
    return arm.role != "teacher", known, arm.method, arm.model, arm.axes
