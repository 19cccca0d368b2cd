"""What a rule found: of a run, or of a dataset of a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from stillhouse.diagnosis.codes import CODES, LEVELS, ORDER, Level

Confidence = Literal["certain", "likely", "possible"]
CONFIDENCES: tuple[Confidence, ...] = ("certain", "likely", "possible")


@dataclass(frozen=True)
class Line:
    """A line of a file (from 1), with what it says."""

    file: Path
    number: int
    text: str


@dataclass(frozen=True)
class Finding:
    """A code, how sure it is, and the lines that show it.

    `scope` is the path of the run or the name of the dataset. A finding on a dataset has a
    sentence with its numbers, `text`; `parts` are what it lists at its end, one by one, and `runs`
    the paths of the runs it rests on. `graded` is its level where that differs from the code's.
    """

    code: str
    confidence: Confidence = "certain"
    evidence: tuple[Line, ...] = ()
    scope: str = ""
    text: str = ""
    runs: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    graded: Level | None = None

    @property
    def level(self) -> Level:
        """What it means for the run or for the dataset's numbers."""
        return self.graded or CODES[self.code].level

    @property
    def sentence(self) -> str:
        """The text with its parts: `Calibration error differs from pure's 1.7 %: NST 3.8 %`."""
        return f"{self.text}: {listed(self.parts)}" if self.parts else self.text

    @property
    def rank(self) -> tuple[int, int, int]:
        """Smaller comes first: what ended the run, then surer causes, then earlier causes."""
        return LEVELS.index(self.level), CONFIDENCES.index(self.confidence), ORDER[self.code]


def listed(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
