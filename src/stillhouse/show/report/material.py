"""What a report is made from."""

from __future__ import annotations

from dataclasses import dataclass

from stillhouse.config.schema import Round
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.finding import Finding
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.stats.frame import Frame


@dataclass(frozen=True)
class Material:
    """All that a report is made from, read once.

    `earlier` is the round that `compares_to` names, `left` how long the rest will take.
    """

    workspace: Workspace
    survey: Survey
    frames: tuple[Frame, ...]
    cases: tuple[Case, ...]
    observations: tuple[Finding, ...]
    earlier: Round | None = None
    left: str = ""

    @property
    def round(self) -> Round:
        """The round that is reported on."""
        return self.survey.round
