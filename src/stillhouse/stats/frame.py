"""All statistics of a dataset's arms in one frame, from which every format is written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TypeVar

from stillhouse import data
from stillhouse.config.expand import teacher_seed
from stillhouse.config.schema import PURE, Round
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.folder import RunFolder
from stillhouse.stats.arms import Arm, Which, arms
from stillhouse.stats.images import agreement, chance_agreement, discordant
from stillhouse.stats.inference import (
    Difference,
    Test,
    difference,
    dunnett,
    hedges_g,
    holm,
    mcnemar,
    pooled_sd,
)
from stillhouse.stats.power import ALPHA, sampling_error, smallest_detectable
from stillhouse.stats.summary import MIN_SEEDS
from stillhouse.stats.verdict import MARGIN, Verdict, judge

_Found = TypeVar("_Found")
UNUSABLE = ("failed", "unreadable", "at chance")
FAILED = (*UNUSABLE, "lost", "stopped")


@dataclass(frozen=True)
class Row:
    """One arm. Differences are in points; `agreement`, `excess` and `ece` in percent, each a mean
    over the valid runs that recorded it. `sensitivity` is the difference to pure by the
    alternative (sensitivity) test, `images` in how many seeds (of how many) McNemar's mid-p is
    below 0.05, `problems` what could not be read for them.
    """

    arm: Arm
    to_pure: Difference | None = None
    adjusted: float | None = None
    g: float | None = None
    to_teacher: Difference | None = None
    agreement: float | None = None
    excess: float | None = None
    ece: float | None = None
    selection: float | None = None
    sensitivity: Difference | None = None
    dunnett: float | None = None
    images: tuple[int, int] | None = None
    problems: tuple[str, ...] = ()
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Context:
    """What a row takes from the others: see `Row`, `Frame` and `judge`."""

    test: Test
    adjusted: float | None
    dunnett: float | None
    margin: float
    spread: float | None
    family: int
    by_image: bool


@dataclass(frozen=True)
class Frame:
    """A dataset's rows and what stands below them.

    `family` counts the adjusted comparisons, `spread` is the pooled sd of the students' arms (the
    teacher's left out), `sd` what a difference rests on by the test (of differences if paired,
    else `spread`), `error` the test set's sampling error at the pure student's accuracy, and
    `seeds` the most valid runs of a student's arm.
    """

    dataset: str
    which: Which
    test: Test
    margin: float
    rows: tuple[Row, ...]
    family: int
    spread: float | None
    sd: float | None
    error: float | None
    seeds: int

    @property
    def detectable(self) -> float | None:
        """The smallest difference that `seeds` seeds find with 80 % power."""
        if not self.sd or self.seeds < MIN_SEEDS:
            return None
        return smallest_detectable(self.sd, self.seeds, self.test)


def frame(
    survey: Survey,
    dataset: str,
    which: Which = "final",
    margin: float = MARGIN,
    by_image: bool = True,
) -> Frame:
    """The statistics of a dataset's arms: teacher and pure students first, then by difference.

    Without `by_image` no row has `Row.images`, for which the predictions of all runs are read.

    The test is predeclared by the kind of round: paired by seed for rounds trained here, whose
    arms share order, augmentation and initial weights, Welch's for imported ones.
    """
    test = test_of(survey.round)
    found = arms(survey, dataset, which)
    pures = [arm for arm in found if arm.method == PURE]
    students = [arm for arm in found if arm.role != "teacher"]
    gaps = [_gap(arm, pures, test) for arm in found]
    spread, sd = _spreads(found, gaps, test)
    adjusted = _adjusted(found, gaps)
    family = sum(p is not None for p in adjusted)
    compared = sum(
        arm.role == "method" and gap is not None for arm, gap in zip(found, gaps, strict=True)
    )
    most = max(family, compared)
    rows = [
        _row(survey, arm, pures, gap, Context(test, p, q, margin, spread, most, by_image))
        for arm, gap, p, q in zip(found, gaps, adjusted, _dunnett(found, pures), strict=True)
    ]
    pure = next((arm for arm in found if arm.role == "pure" and arm.values), None)
    spec = data.spec(dataset, survey.round.files)
    seeds = max((len(arm.values) for arm in students), default=0)
    return Frame(
        dataset=dataset,
        which=which,
        test=test,
        margin=margin,
        rows=tuple(sorted(rows, key=_place)),
        family=family,
        spread=spread,
        sd=sd,
        error=sampling_error(mean(pure.values), spec.test_images) if pure else None,
        seeds=seeds,
    )


def test_of(round_: Round) -> Test:
    """The test of a round's differences, by its kind."""
    return "welch" if round_.imported else "paired"


def spread_so_far(survey: Survey, dataset: str) -> float | None:
    """The `Frame.sd` of a dataset's final accuracies, without the rest of the frame."""
    test, found = test_of(survey.round), arms(survey, dataset)
    pures = [arm for arm in found if arm.method == PURE]
    return _spreads(found, [_gap(arm, pures, test) for arm in found], test)[1]


def pure_of(arm: Arm, found: Iterable[Arm]) -> Arm | None:
    """The pure student that an arm is compared with: of the same network, whoever it teaches."""
    for other in found:
        alike = other.role == "pure" if arm.role == "teacher" else other.model == arm.model
        if other.method == PURE and alike and other is not arm:
            return other
    return None


def teachers_now(survey: Survey, arm: Arm, found: Iterable[Arm]) -> dict[int, float]:
    """By student seed, the accuracy of its teacher by the same kind of epoch as the arm's.

    A borrowed teacher's is the one its students recorded.
    """
    teachers = [other for other in found if other.method == PURE and other.role == "teacher"]
    if len(survey.round.all_teachers) > 1:
        if arm.role != "method":
            return {}  # it has no teacher, and is not compared with one of several
        if arm.teacher in survey.round.all_teachers:
            teachers = [one for one in found if one.method == PURE and one.model == arm.teacher]
    own = teachers[0].by_seed if teachers else None
    if own is None:
        return arm.column("teacher_accuracy")
    known = [seed for seed in arm.by_seed if seed in survey.round.seeds]
    pairs = {seed: own.get(teacher_seed(survey.round, seed)) for seed in known}
    return {seed: accuracy for seed, accuracy in pairs.items() if accuracy is not None}


def _gap(arm: Arm, pures: Sequence[Arm], test: Test) -> Difference | None:
    pure = pure_of(arm, pures)
    return difference(arm.by_seed, pure.by_seed, test, arm.resolution) if pure else None


def _adjusted(found: Sequence[Arm], gaps: Sequence[Difference | None]) -> list[float | None]:
    """Holm's adjusted p of every method's difference to pure; None where there is no p."""
    pairs = list(zip(found, gaps, strict=True))
    p_values = [gap.p if gap and arm.role == "method" else None for arm, gap in pairs]
    held = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(held) for p in p_values]


def _dunnett(found: Sequence[Arm], pures: Sequence[Arm]) -> list[float | None]:
    """Dunnett's p of every method's arm against the pure student of its network."""
    p_values: list[float | None] = [None] * len(found)
    for pure in (arm for arm in pures if arm.role == "pure"):
        own = [
            index
            for index, arm in enumerate(found)
            if arm.role == "method" and pure_of(arm, pures) is pure
        ]
        tested = dunnett([found[index].values for index in own], pure.values)
        for index, p in zip(own, tested, strict=True):
            p_values[index] = p
    return p_values


def _row(
    survey: Survey, arm: Arm, pures: Sequence[Arm], gap: Difference | None, context: Context
) -> Row:
    pure = pure_of(arm, pures)
    taught = {} if arm.role == "teacher" else teachers_now(survey, arm, pures)
    problems: list[str] = []
    agreed, excess = _agreement(survey, arm, pures, problems)
    sensitivity = _gap(arm, pures, "welch" if context.test == "paired" else "paired")
    beside = pure if context.by_image and arm.role == "method" else None
    return Row(
        arm=arm,
        to_pure=gap,
        adjusted=context.adjusted,
        g=hedges_g(arm.values, pure.values) if pure else None,
        to_teacher=difference(arm.by_seed, taught, "paired", arm.resolution) if taught else None,
        agreement=agreed,
        excess=excess,
        ece=_mean(arm.column("ece")),
        selection=_mean(_selection(arm)),
        sensitivity=sensitivity,
        dunnett=context.dunnett,
        images=_per_image(arm, beside, problems) if beside else None,
        problems=tuple(problems),
        verdict=_verdict(arm, gap, sensitivity, context),
    )


def _verdict(
    arm: Arm, gap: Difference | None, sensitivity: Difference | None, context: Context
) -> Verdict | None:
    if arm.role != "method":
        return None
    if not arm.values:
        states = {cell.shown for cell in arm.cells}
        if states.intersection(UNUSABLE):
            return Verdict("failed")
        return Verdict("unfinished" if states & {"running", "lost", "stopped"} else "missing")
    if gap is None:
        return None
    checks = (sensitivity.p if sensitivity else None, context.dunnett)
    return judge(gap, context.adjusted, context.margin, context.spread, context.family, checks)


def _agreement(
    survey: Survey, arm: Arm, pures: Sequence[Arm], problems: list[str]
) -> tuple[float | None, float | None]:
    """Mean agreement with the teacher and its excess over that of independent errors.

    A pure student, which never saw it, is measured against the teacher of its seed.
    """
    agreed, taught = arm.column("agreement"), arm.column("teacher_accuracy")
    teachers = next((p for p in pures if p.role == "teacher"), None)
    if arm.role == "pure" and teachers and len(survey.round.all_teachers) == 1:
        agreed, taught = _with_teachers(survey, arm, teachers, problems)
    classes = data.spec(arm.cells[0].config.dataset, survey.round.files).classes
    own = arm.column("accuracy")
    excess = {
        seed: agreed[seed] - chance_agreement(own[seed], taught[seed], classes)
        for seed in agreed
        if seed in taught
    }
    return _mean({seed: agreed[seed] for seed in excess}), _mean(excess)


def _with_teachers(
    survey: Survey, arm: Arm, teachers: Arm, problems: list[str]
) -> tuple[dict[int, float], dict[int, float]]:
    """By seed of a pure student, its agreement with the teacher of that seed, and its accuracy."""
    by_seed = {cell.config.seed: cell for cell in teachers.valid}
    accuracies = teachers.column("accuracy")
    agreed, taught = {}, {}
    for cell in arm.valid:
        seed = cell.config.seed
        if seed not in survey.round.seeds or not (
            other := by_seed.get(teacher_seed(survey.round, seed))
        ):
            continue
        found = _compared(agreement, cell, other, problems)
        if found is not None:
            agreed[seed], taught[seed] = found, accuracies[other.config.seed]
    return agreed, taught


def _per_image(arm: Arm, pure: Arm, problems: list[str]) -> tuple[int, int] | None:
    """In how many seeds McNemar's mid-p against the pure student is below 0.05, of how many.

    None below three seeds.
    """
    theirs = {cell.config.seed: cell for cell in pure.valid}
    pairs = [
        _compared(discordant, cell, theirs[cell.config.seed], problems)
        for cell in arm.valid
        if cell.config.seed in theirs
    ]
    p_values = [mcnemar(*pair) for pair in pairs if pair is not None]
    if len(p_values) < MIN_SEEDS:
        return None
    return sum(p < ALPHA for p in p_values), len(p_values)


def _compared(
    how: Callable[[RunFolder, RunFolder], _Found | None], a: Cell, b: Cell, problems: list[str]
) -> _Found | None:
    """Two runs image by image; None, and the problem noted, where a file is damaged."""
    try:
        return how(a.folder, b.folder)
    except RunError as error:
        problems.append(error.message)
        return None


def _selection(arm: Arm) -> dict[int, float]:
    """By seed, what choosing the best epoch adds to the last one's accuracy, in points."""
    final, best = arm.column("accuracy"), arm.column("best_accuracy")
    return {seed: best[seed] - final[seed] for seed in final}


def _mean(values: Mapping[int, float]) -> float | None:
    return mean(values.values()) if values else None


def _spreads(
    found: Sequence[Arm], gaps: Sequence[Difference | None], test: Test
) -> tuple[float | None, float | None]:
    """The pooled sd of the students' arms, and what a difference rests on by the test.

    For paired differences that is the root mean square of the methods' standard deviations.
    """
    pooled = pooled_sd([arm.values for arm in found if arm.role != "teacher"])
    if test == "welch":
        return pooled, pooled
    pairs = zip(found, gaps, strict=True)
    own = [gap.sd for arm, gap in pairs if arm.role == "method" and gap and gap.sd]
    return pooled, (sum(sd**2 for sd in own) / len(own)) ** 0.5 if own else None


def _place(row: Row) -> tuple[int, float]:
    if row.arm.role != "method":
        return (0 if row.arm.role == "teacher" else 1), 0.0
    return 2, -row.to_pure.value if row.to_pure else float("inf")
