"""What a rule on a dataset sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from stillhouse import data
from stillhouse.config.schema import PURE
from stillhouse.data.specs import DatasetSpec
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.codes import Level
from stillhouse.diagnosis.finding import Finding
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.stats.arms import Arm, Which
from stillhouse.stats.frame import Frame, Row, frame

FEW = 4


@dataclass(frozen=True)
class Scene:
    """A dataset of a round, with its statistics and its runs as the doctor sees them.

    `transfer` are its rows of the table of this name, if `analyze` has written it.
    """

    survey: Survey
    frame: Frame
    cases: tuple[Case, ...]
    transfer: tuple[Mapping[str, Any], ...] = ()

    @property
    def dataset(self) -> str:
        """Its name."""
        return self.frame.dataset

    @property
    def which(self) -> Which:
        """Which epoch's accuracies are looked at."""
        return self.frame.which

    @property
    def spec(self) -> DatasetSpec:
        """The dataset's facts."""
        return data.spec(self.dataset, self.survey.round.files)

    @cached_property
    def arms(self) -> list[Arm]:
        """All arms in the order of the table."""
        return [row.arm for row in self.frame.rows]

    @cached_property
    def teacher(self) -> Arm | None:
        """The arm of the first teacher, if it was trained in this round."""
        return self.teachers[0] if self.teachers else None

    @cached_property
    def teachers(self) -> list[Arm]:
        """The arms of all teachers that were trained in this round."""
        return [arm for arm in self.arms if arm.role == "teacher"]

    @cached_property
    def pure(self) -> Arm | None:
        """The first pure student's arm."""
        return next((arm for arm in self.arms if arm.role == "pure"), None)

    @cached_property
    def methods(self) -> list[Row]:
        """The rows of the methods."""
        return [row for row in self.frame.rows if row.arm.role == "method"]

    @cached_property
    def cells(self) -> list[Cell]:
        """All runs of the dataset."""
        return [cell for arm in self.arms for cell in arm.cells]

    @cached_property
    def accuracy(self) -> dict[str, float]:
        """The valid runs' accuracies in percent, by path."""
        return {c.config.path: arm.by_seed[c.config.seed] for arm in self.arms for c in arm.valid}

    @cached_property
    def pures(self) -> list[Arm]:
        """The arms of pure students and teachers."""
        return [arm for arm in self.arms if arm.method == PURE]

    @cached_property
    def valid(self) -> list[Cell]:
        """All runs that count."""
        return [cell for arm in self.arms for cell in arm.valid]

    @cached_property
    def by_path(self) -> dict[str, Case]:
        """The runs by path."""
        return {case.path: case for case in self.cases}

    @cached_property
    def damaged(self) -> list[Cell]:
        """The runs whose epoch records cannot be read, although their state can."""
        return [
            cell
            for cell in self.cells
            if cell.state.name != "unreadable"
            and self.by_path[cell.config.path].state.name == "unreadable"
        ]

    def series(self, cell: Cell, field: str) -> list[float]:
        """A field of every epoch of a run; empty for damaged records."""
        return self.by_path[cell.config.path].series(field)

    def finding(
        self,
        code: str,
        text: str,
        cells: Iterable[Cell] = (),
        parts: Sequence[str] = (),
        level: Level | None = None,
    ) -> Finding:
        """A finding on this dataset."""
        paths = tuple(cell.config.path for cell in cells)
        return Finding(
            code, scope=self.dataset, text=text, runs=paths, parts=tuple(parts), graded=level
        )


def scene(
    survey: Survey,
    dataset: str,
    which: Which = "final",
    cases: Iterable[Case] = (),
    transfer: Iterable[Mapping[str, Any]] = (),
) -> Scene:
    """A dataset as the rules see it; `cases` and `transfer` are those of the whole round."""
    own = tuple(case for case in cases if case.config.dataset == dataset)
    rows = tuple(row for row in transfer if row["dataset"] == dataset)
    return Scene(survey, frame(survey, dataset, which, by_image=False), own, rows)


def shown(arm: Arm) -> str:
    """`FitNets (70.23 %, n = 1)`."""
    return f"{arm.label} ({arm.summary.mean:.2f} %, n = {len(arm.values)})"


def seeds(cells: Sequence[Cell]) -> str:
    """`seed 0` or `seeds 0, 2`."""
    numbers = ", ".join(str(cell.config.seed) for cell in cells)
    return f"seed{'s' * (len(cells) > 1)} {numbers}"
