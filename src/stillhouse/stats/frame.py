"""All statistics of a dataset's arms in one frame, from which every format is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import TypeVar

from stillhouse import data
from stillhouse.config.expand import teacher_seed
from stillhouse.config.schema import PURE
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import Measures
from stillhouse.stats import images
from stillhouse.stats.arms import Arm, Which, arms
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
FAILED = ("failed", "unreadable", "unsound", "lost", "stopped")


@dataclass(frozen=True)
class Row:
    """One arm. Differences are in points; `agreement`, `excess` and `ece` in percent, each a mean
    over the sound runs that recorded it. `sensitivity` is the difference to pure by the
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


@dataclass(frozen=True)
class Frame:
    """A dataset's rows and what stands below them.

    `family` counts the adjusted comparisons, `spread` is the pooled sd of the students' arms (the
    teacher's left out), `sd` what a difference rests on by the test (of differences if paired,
    else `spread`), `error` the test set's sampling error at the pure student's accuracy, and
    `seeds` the most sound runs of a student's arm.
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


def frame(seen: Survey, dataset: str, which: Which = "final", margin: float = MARGIN) -> Frame:
    """The statistics of a dataset's arms: teacher and pure students first, then by difference.

    The test is predeclared by the kind of round: paired by seed for rounds trained here, whose
    arms share order, augmentation and initial weights, Welch's for imported ones.
    """
    test: Test = "welch" if seen.round.imported else "paired"
    found = arms(seen, dataset, which)
    students = [arm for arm in found if arm.role != "teacher"]
    spread = pooled_sd([arm.values for arm in students])
    gaps = [_gap(arm, found, test) for arm in found]
    adjusted = _adjusted(found, gaps)
    family = sum(p is not None for p in adjusted)
    compared = sum(
        arm.role == "method" and gap is not None for arm, gap in zip(found, gaps, strict=True)
    )
    rows = [
        _row(seen, arm, found, gap, Context(test, p, q, margin, spread, max(family, compared)))
        for arm, gap, p, q in zip(found, gaps, adjusted, _dunnett(found), strict=True)
    ]
    pure = next((arm for arm in found if arm.role == "pure" and arm.values), None)
    spec = data.spec(dataset, seen.round.files)
    seeds = max((len(arm.values) for arm in students), default=0)
    return Frame(
        dataset=dataset,
        which=which,
        test=test,
        margin=margin,
        rows=tuple(sorted(rows, key=_place)),
        family=family,
        spread=spread,
        sd=_typical(rows) if test == "paired" else spread,
        error=sampling_error(mean(pure.values), spec.test_images) if pure else None,
        seeds=seeds,
    )


def pure_of(arm: Arm, found: Sequence[Arm]) -> Arm | None:
    """The pure student that an arm is compared with: of the same network, whoever it teaches."""
    pures = [other for other in found if other.method == PURE and other.model == arm.model]
    named = [other for other in found if other.role == "pure"] if arm.role == "teacher" else pures
    return next((other for other in named if other is not arm), None)


def teachers_now(seen: Survey, arm: Arm, found: Sequence[Arm]) -> dict[int, float]:
    """By student seed, the accuracy of its teacher by the same kind of epoch as the arm's.

    A borrowed teacher's is the one its students recorded.
    """
    own = next((other.by_seed for other in found if other.role == "teacher"), None)
    if own is None:
        return recorded_teachers(arm)
    seeds = [cell.config.seed for cell in arm.sound if cell.config.seed in seen.round.seeds]
    pairs = {seed: own.get(teacher_seed(seen.round, seed)) for seed in seeds}
    return {seed: accuracy for seed, accuracy in pairs.items() if accuracy is not None}


def recorded_teachers(arm: Arm) -> dict[int, float]:
    """By student seed, the test accuracy in percent of the weights that taught it."""
    found = {}
    for cell in arm.sound:
        run = cell.folder.started()
        accuracy = (run["teacher"] or {}).get("accuracy") if run else None
        if accuracy is not None:
            found[cell.config.seed] = float(accuracy)
    return found


def teacher_cell(seen: Survey, cell: Cell) -> Cell | None:
    """The run of this round that teaches students of a run's seed."""
    run, round_ = cell.config, seen.round
    if round_.teachers_from or run.seed not in round_.seeds:
        return None
    path = f"{run.dataset}/{PURE}/{round_.teacher}/{teacher_seed(round_, run.seed)}"
    return next((other for other in seen.cells if other.config.path == path), None)


def _gap(arm: Arm, found: Sequence[Arm], test: Test) -> Difference | None:
    pure = pure_of(arm, found)
    return difference(arm.by_seed, pure.by_seed, test, arm.resolution) if pure else None


def _adjusted(found: Sequence[Arm], gaps: Sequence[Difference | None]) -> list[float | None]:
    """Holm's adjusted p of every method's difference to pure; None where there is no p."""
    pairs = list(zip(found, gaps, strict=True))
    p_values = [gap.p if gap and arm.role == "method" else None for arm, gap in pairs]
    held = iter(holm([p for p in p_values if p is not None]))
    return [None if p is None else next(held) for p in p_values]


def _dunnett(found: Sequence[Arm]) -> list[float | None]:
    """Dunnett's p of every method's arm against the pure student of its network."""
    p_values: list[float | None] = [None] * len(found)
    for pure in (arm for arm in found if arm.role == "pure"):
        own = [
            index
            for index, arm in enumerate(found)
            if arm.role == "method" and pure_of(arm, found) is pure
        ]
        tested = dunnett([found[index].values for index in own], pure.values)
        for index, p in zip(own, tested, strict=True):
            p_values[index] = p
    return p_values


def _row(
    seen: Survey, arm: Arm, found: Sequence[Arm], gap: Difference | None, context: Context
) -> Row:
    pure = pure_of(arm, found)
    taught = {} if arm.role == "teacher" else teachers_now(seen, arm, found)
    problems: list[str] = []
    agreement, excess = _agreement(seen, arm, problems)
    sensitivity = _gap(arm, found, "welch" if context.test == "paired" else "paired")
    return Row(
        arm=arm,
        to_pure=gap,
        adjusted=context.adjusted,
        g=hedges_g(arm.values, pure.values) if pure else None,
        to_teacher=difference(arm.by_seed, taught, "paired", arm.resolution) if taught else None,
        agreement=agreement,
        excess=excess,
        ece=_mean([final(cell).get("ece") for cell in arm.sound]),
        selection=_mean([_selection(cell) for cell in arm.sound]),
        sensitivity=sensitivity,
        dunnett=context.dunnett,
        images=_per_image(arm, pure, problems) if pure and arm.role == "method" else None,
        problems=tuple(problems),
        verdict=_verdict(arm, gap, sensitivity, context),
    )


def _verdict(
    arm: Arm, gap: Difference | None, sensitivity: Difference | None, context: Context
) -> Verdict | None:
    if arm.role != "method":
        return None
    if not arm.values:
        tried = any(cell.shown in FAILED for cell in arm.cells)
        return Verdict("failed" if tried else "missing")
    if gap is None:
        return None
    checks = (sensitivity.p if sensitivity else None, context.dunnett)
    return judge(gap, context.adjusted, context.margin, context.spread, context.family, checks)


def _agreement(seen: Survey, arm: Arm, problems: list[str]) -> tuple[float | None, float | None]:
    """Mean agreement with the teacher and its excess over that of independent errors.

    A pure student, which never saw it, is measured against the teacher of its seed.
    """
    found, excess = [], []
    classes = data.spec(arm.cells[0].config.dataset, seen.round.files).classes
    taught = recorded_teachers(arm)
    for cell in arm.sound:
        agreed, teacher = final(cell).get("agreement"), taught.get(cell.config.seed)
        if arm.role == "pure" and (other := teacher_cell(seen, cell)) and other.shown == "done":
            agreed = _compared(images.agreement, cell, other, problems)
            teacher = final(other)["accuracy"]
        if agreed is not None and teacher is not None:
            found.append(agreed)
            chance = images.chance_agreement(final(cell)["accuracy"], teacher, classes)
            excess.append(agreed - chance)
    return _mean(found), _mean(excess)


def _per_image(arm: Arm, pure: Arm, problems: list[str]) -> tuple[int, int] | None:
    """In how many seeds McNemar's mid-p against the pure student is below 0.05, of how many.

    None below three seeds.
    """
    theirs = {cell.config.seed: cell for cell in pure.sound}
    pairs = [
        _compared(images.discordant, cell, theirs[cell.config.seed], problems)
        for cell in arm.sound
        if cell.config.seed in theirs
    ]
    p_values = [mcnemar(*pair) for pair in pairs if pair is not None]
    if len(p_values) < MIN_SEEDS:
        return None
    return sum(p < ALPHA for p in p_values), len(p_values)


def _compared(
    how: Callable[[RunFolder, RunFolder], _Found | None],
    a: Cell,
    b: Cell,
    problems: list[str],
) -> _Found | None:
    """Two runs image by image; None, and the problem noted, where a file is damaged."""
    try:
        return how(a.folder, b.folder)
    except RunError as error:
        problems.append(error.message)
        return None


def final(cell: Cell) -> Measures:
    """What a completed run's last epoch measured on the test images."""
    assert cell.state.result is not None
    return cell.state.result["final"]["test"]


def _selection(cell: Cell) -> float:
    """What choosing the best epoch adds to the last one's accuracy, in points."""
    assert cell.state.result is not None
    return float(cell.state.result["best"]["test_accuracy"]) - final(cell)["accuracy"]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _typical(rows: Sequence[Row]) -> float | None:
    """The root mean square of the methods' standard deviations of paired differences."""
    own = [r.to_pure.sd for r in rows if r.arm.role == "method" and r.to_pure and r.to_pure.sd]
    return (sum(sd**2 for sd in own) / len(own)) ** 0.5 if own else None


def _place(row: Row) -> tuple[int, float]:
    if row.arm.role != "method":
        return (0 if row.arm.role == "teacher" else 1), 0.0
    return 2, -row.to_pure.value if row.to_pure else float("inf")
