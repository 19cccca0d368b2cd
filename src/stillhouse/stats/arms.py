"""The arms of a round: what stands in one row of its tables and figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from stillhouse import data, tables
from stillhouse.config import names
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.state import RunState
from stillhouse.stats.summary import MIN_SEEDS, Summary, summarise

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

    @property
    def resolution(self) -> float:
        """What one test image is worth, in points."""
        run = self.cells[0].config
        return 100 / data.spec(run.dataset, run.files).test_images

    @property
    def others(self) -> str:
        """What became of the runs that do not count: `1 failed, 2 unsound (10.00 %, 9.80 %)`."""
        runs: dict[str, list[str]] = {}
        for cell in self.cells:
            accuracy = accuracy_of(cell.state, self.which) if cell.unsound else None
            if cell.shown != "done":
                shown = "" if accuracy is None else f"{accuracy:.2f} %"
                runs.setdefault(cell.shown, []).append(shown)
        return ", ".join(
            f"{len(found)} {state}" + (f" ({', '.join(found)})" if all(found) else "")
            for state, found in runs.items()
        )

    @property
    def why(self) -> str | None:
        """Why a seed, the mean or the deviation is missing; None if nothing is."""
        if not self.values:
            return f"no completed and valid run: {self.others}"
        few = "fewer than three seeds" if len(self.values) < MIN_SEEDS else ""
        return ": ".join(filter(None, (few, self.others))) or None

    def names(self, axes: Iterable[str]) -> dict[str, tables.Cell]:
        """What identifies it in tables for programs; each of the swept `axes` has a cell."""
        at = self.cells[0].config.axes
        return {
            "method": self.method,
            "model": self.model,
            "role": self.role,
            **{f"axis_{name}": at.get(name) for name in axes},
        }

    def numbers(self, seen: Survey) -> dict[str, tables.Cell]:
        """What tables for programs say of it: its names and results, one number per cell."""
        seeds = sorted({cell.config.seed for cell in seen.cells})
        return {
            **self.names(seen.round.sweep),
            "n": len(self.values),
            "planned": len(self.cells),
            "mean": self.summary.mean,
            "sd": self.summary.std,
            **{f"seed_{seed}": self.by_seed.get(seed) for seed in seeds},
        }


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
            groups.setdefault((run.method, run.model, run.axis_values), []).append(cell)
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
