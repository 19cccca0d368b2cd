"""What a rule sees of a dataset, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from stillhouse import data
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.records import Epoch
from stillhouse.stats.arms import Arm, Which
from stillhouse.stats.frame import Frame, Row, frame

Level = Literal["alarm", "warning", "finding", "note"]
LEVELS: tuple[Level, ...] = ("alarm", "warning", "finding", "note")
FEW = 4


@dataclass(frozen=True)
class Observation:
    """A sentence with its numbers and n; `parts` are what it lists at its end, one by one.

    alarm: numbers that must not be used; warning: numbers to be read with care; finding: a
    result; note: for the reader. `runs` are the paths of the runs it rests on.
    """

    level: Level
    rule: str
    dataset: str
    text: str
    runs: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The text with its parts: `Calibration error differs from pure's 1.7 %: NST 3.8 %`."""
        return f"{self.text}: {listed(self.parts)}" if self.parts else self.text


@dataclass(frozen=True)
class Scene:
    """A dataset of a round, with its statistics and its runs' epoch records."""

    seen: Survey
    frame: Frame

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
        return data.spec(self.dataset, self.seen.round.files)

    @property
    def arms(self) -> list[Arm]:
        """All arms in the order of the table."""
        return [row.arm for row in self.frame.rows]

    @property
    def teacher(self) -> Arm | None:
        """The teachers' arm, if they were trained in this round."""
        return next((arm for arm in self.arms if arm.role == "teacher"), None)

    @property
    def pure(self) -> Arm | None:
        """The first pure student's arm."""
        return next((arm for arm in self.arms if arm.role == "pure"), None)

    @property
    def methods(self) -> list[Row]:
        """The rows of the methods."""
        return [row for row in self.frame.rows if row.arm.role == "method"]

    @property
    def cells(self) -> list[Cell]:
        """All runs of the dataset."""
        return [cell for arm in self.arms for cell in arm.cells]

    @cached_property
    def accuracy(self) -> dict[str, float]:
        """The valid runs' accuracies in percent, by path."""
        return {c.config.path: arm.by_seed[c.config.seed] for arm in self.arms for c in arm.valid}

    @property
    def records(self) -> dict[str, list[Epoch]]:
        """Every run's epoch records, by path; none for a run whose files are damaged."""
        return {path: found for path, found in self._read.items() if not isinstance(found, str)}

    @property
    def damaged(self) -> dict[str, str]:
        """By path, what is wrong with the epoch records that cannot be read."""
        return {path: found for path, found in self._read.items() if isinstance(found, str)}

    @cached_property
    def _read(self) -> dict[str, list[Epoch] | str]:
        readable = [cell for cell in self.cells if cell.state.name != "unreadable"]
        return {cell.config.path: _records(cell) for cell in readable}

    def say(
        self,
        level: Level,
        rule: str,
        text: str,
        cells: Sequence[Cell] = (),
        parts: Sequence[str] = (),
    ) -> Observation:
        """An observation of this dataset."""
        paths = tuple(cell.config.path for cell in cells)
        return Observation(level, rule, self.dataset, text, paths, tuple(parts))


def _records(cell: Cell) -> list[Epoch] | str:
    try:
        return cell.folder.records()
    except RunError as error:
        return error.message


def scene(seen: Survey, dataset: str, which: Which = "final") -> Scene:
    """A dataset as the rules see it."""
    return Scene(seen, frame(seen, dataset, which))


def shown(arm: Arm) -> str:
    """`FitNets (70.23 %, n = 1)`."""
    return f"{arm.label} ({arm.summary.mean:.2f} %, n = {len(arm.values)})"


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def seeds(cells: Sequence[Cell]) -> str:
    """`seed 0` or `seeds 0, 2`."""
    numbers = ", ".join(str(cell.config.seed) for cell in cells)
    return f"seed{'s' * (len(cells) > 1)} {numbers}"
