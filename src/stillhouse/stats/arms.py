"""The arms of a round: what stands in one row of its tables and figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from stillhouse import data, tables
from stillhouse.config.expand import one_of_several
from stillhouse.errors import ConfigError
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.stats.columns import AXIS
from stillhouse.stats.runs import Role, run_records
from stillhouse.stats.summary import MIN_SEEDS, Summary, summarise

Which = Literal["final", "best", "ema"]
COLUMN: dict[Which, str] = {"final": "accuracy", "best": "best_accuracy", "ema": "ema_accuracy"}
SHOWN: dict[Which, str] = {
    "final": "final epoch",
    "best": "best epoch",
    "ema": "final epoch, averaged weights (EMA)",
}
ORDER = ("pure", "logit", "factor_transfer", "attention_transfer", "fitnets", "nst", "rkd")


@dataclass(frozen=True)
class Arm:
    """The runs of one dataset that differ in their seed only, in the order of their seeds.

    `runs` are their rows of the table of runs, `cells` where they are kept. Only valid runs count:
    a completed run that learned nothing is a failure.
    """

    runs: tuple[dict[str, Any], ...]
    cells: tuple[Cell, ...]
    which: Which

    @property
    def label(self) -> str:
        """What it is called in tables."""
        return str(self.runs[0]["arm"])

    @property
    def role(self) -> Role:
        """What its runs are in the round."""
        found: Role = self.runs[0]["role"]
        return found

    @property
    def method(self) -> str:
        """Its method."""
        return str(self.runs[0]["method"])

    @property
    def model(self) -> str:
        """The network that is trained."""
        return str(self.runs[0]["student"])

    @property
    def teacher(self) -> str | None:
        """The network that teaches it."""
        teacher = self.cells[0].config.teacher
        return teacher.model if teacher else None

    @property
    def axes(self) -> str:
        """The values of swept axes: `alpha=0.5`; empty without any."""
        return self.cells[0].config.axis_values

    @property
    def name(self) -> str:
        """The label without the values of swept axes."""
        return self.label.removesuffix(self.axes).strip()

    @cached_property
    def valid(self) -> tuple[Cell, ...]:
        """The completed runs that learned something."""
        return tuple(cell for cell in self.cells if cell.shown == "done")

    @cached_property
    def by_seed(self) -> dict[int, float]:
        """The accuracies of the valid runs in percent, by seed."""
        return self.column(COLUMN[self.which])

    def column(self, name: str) -> dict[int, Any]:
        """A column of the table of runs by seed, of the valid runs that have a value."""
        return {
            run["seed"]: run[name]
            for run in self.runs
            if run["valid"] == "yes" and run[name] is not None
        }

    @property
    def values(self) -> list[float]:
        """The accuracies of the valid runs in percent, in the order of their seeds."""
        return list(self.by_seed.values())

    @cached_property
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
        """What became of the runs that do not count: `1 failed, 2 at chance (10.00 %, 9.80 %)`."""
        found: dict[str, list[str]] = {}
        for cell, run in zip(self.cells, self.runs, strict=True):
            if cell.shown != "done":
                shown = f"{run[COLUMN[self.which]]:.2f} %" if run["valid"] else ""
                found.setdefault(cell.shown, []).append(shown)
        return ", ".join(
            f"{len(shown)} {state}" + (f" ({', '.join(shown)})" if all(shown) else "")
            for state, shown in found.items()
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
        return {
            "method": self.method,
            "model": self.model,
            "role": self.role,
            **{f"{AXIS}{name}": self.runs[0].get(f"{AXIS}{name}") for name in axes},
        }

    def numbers(self, survey: Survey) -> dict[str, tables.Cell]:
        """What tables for programs say of it: its names and results, one number per cell."""
        seeds = sorted({cell.config.seed for cell in survey.cells})
        return {
            **self.names(survey.round.sweep),
            **({"teacher": self.teacher} if len(survey.round.all_teachers) > 1 else {}),
            "n": len(self.values),
            "planned": len(self.cells),
            "mean": self.summary.mean,
            "sd": self.summary.std,
            **{f"seed_{seed}": self.by_seed.get(seed) for seed in seeds},
        }


def arms(survey: Survey, dataset: str, which: Which = "final") -> list[Arm]:
    """Return a dataset's arms in the order of the tables: teacher, pure students, methods.

    Raises ConfigError for accuracies of averaged weights where no run has any.
    """
    cells = [cell for cell in survey.cells if cell.config.dataset == dataset]
    if which == "ema" and not any(cell.config.training.ema_decay for cell in cells):
        raise ConfigError(
            f"no run of round '{survey.round.round}' on {dataset} averages its weights",
            "set ema_decay under `training:`, as in `ema_decay: 0.999`",
        )
    groups: dict[tuple[str, str, str, str], list[tuple[dict[str, Any], Cell]]] = {}
    for run, cell in zip(run_records(Survey(survey.round, cells)), cells, strict=True):
        teacher = one_of_several(survey.round, cell.config)
        key = (run["method"], run["student"], cell.config.axis_values, teacher)
        groups.setdefault(key, []).append((run, cell))
    found = []
    for group in groups.values():
        group.sort(key=lambda pair: pair[1].config.seed)
        runs, own = zip(*group, strict=True)
        found.append(Arm(runs, own, which))
    teachers = survey.round.all_teachers
    return sorted(found, key=lambda arm: _place(arm, teachers))


def _place(arm: Arm, teachers: Sequence[str]) -> tuple[object, ...]:
    """The order of tables: teachers as the round lists them, pure students, methods."""
    known = ORDER.index(arm.method) if arm.method in ORDER else len(ORDER)
    own = teachers.index(arm.model) if arm.role == "teacher" else 0
    taught = teachers.index(arm.teacher) if arm.teacher in teachers else 0
    return arm.role != "teacher", known, arm.method, own, arm.model, arm.axes, taught
