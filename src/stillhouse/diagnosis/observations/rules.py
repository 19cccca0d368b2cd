"""Every rule, and the observations of a round ranked by their level."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.codes import LEVELS
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations import effects, representations, teachers, validity
from stillhouse.diagnosis.observations.base import Scene, scene
from stillhouse.diagnosis.observations.earlier import beside_earlier
from stillhouse.diagnosis.read import read_cases
from stillhouse.rounds.survey import Survey
from stillhouse.stats.arms import Which
from stillhouse.stats.columns import records
from stillhouse.stats.written import read_table

Rule = Callable[[Scene], Iterator[Finding]]
RULES: tuple[Rule, ...] = (
    validity.failed,
    validity.damaged,
    validity.failed_chance,
    validity.asked,
    validity.cut_off,
    effects.above_unfinished_teacher,
    effects.decided,
    effects.inconclusive,
    effects.below_pure,
    effects.weak_teacher,
    teachers.outlier,
    teachers.wide_spread,
    teachers.teacher_driven,
    teachers.compared,
    teachers.no_control,
    validity.confounds,
    validity.uneven,
    effects.underfits,
    effects.above_teacher,
    effects.selection_bias,
    effects.calibration,
    effects.swept,
    representations.aligned_not_better,
    representations.generic,
    representations.copied_errors,
    teachers.smoothed,
)


def observe(
    survey: Survey,
    which: Which = "final",
    cases: Sequence[Case] | None = None,
    tables: Path | None = None,
    file: Path | None = None,
) -> list[Finding]:
    """What the rules find in a round, dataset by dataset, the most severe first.

    `cases` are the round's runs, where they have been read already, `tables` is the folder of the
    tables of `analyze`, `file` the round file, beside which an earlier round's results are looked
    for. Raises RunError if the table of transfer there is damaged.
    """
    name = survey.round.round
    transfer: list[dict[str, Any]] = []
    if tables is not None and (tables / "transfer.csv").exists():  # else pandas is not needed
        transfer = records(read_table(tables, "transfer", name))
    found, known = [], read_cases(survey) if cases is None else cases
    earlier = [*beside_earlier(survey, file, which)] if file else []
    for dataset in survey.round.datasets:
        own = scene(survey, dataset, which, known, transfer)
        own_findings = [one for one in earlier if one.scope == dataset]
        own_findings += [finding for rule in RULES for finding in rule(own)]
        found += sorted(own_findings, key=lambda one: LEVELS.index(one.level))
    return found
