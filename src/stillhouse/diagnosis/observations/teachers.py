"""Rules about spread over seeds, and about the teachers behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from math import sqrt
from statistics import mean, median

from stillhouse import methods
from stillhouse.config.expand import one_of_several
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations.base import FEW, Scene, shown
from stillhouse.rounds.survey import Cell
from stillhouse.stats.arms import Arm
from stillhouse.stats.frame import teachers_now
from stillhouse.stats.inference import correlation, difference, spread_parts
from stillhouse.stats.summary import MIN_SEEDS
from stillhouse.stats.wording import interval

WIDE = 2.5
RANGE = 5.0
FAR = 3 * 1.4826
STRONG = 0.8


@dataclass(frozen=True)
class HandOver:
    """The state a teacher was in when its student started, where its files tell."""

    epoch: int | None
    accuracy: float | None


def handed(cell: Cell) -> HandOver | None:
    """The teacher's state at the start of a run, if it was not finished then."""
    if cell.state.name in ("missing", "unreadable"):
        return None
    run = cell.started
    taught = (run["teacher"] if run else None) or {}
    if taught.get("finished_before") is not False:
        return None
    epoch, accuracy = taught.get("epoch_at_start"), taught.get("accuracy_at_start")
    return HandOver(
        epoch=int(str(epoch)) if epoch is not None else None,
        accuracy=float(str(accuracy)) if accuracy is not None else None,
    )


def wide_spread(scene: Scene) -> Iterator[Finding]:
    """A spread over seeds well above that of the other students' arms (teachers left out)."""
    for arm, others in _with_others(scene):
        spread = arm.summary.std
        if len(arm.values) >= MIN_SEEDS and spread and others and spread > WIDE * others:
            text = (
                f"{arm.label} spreads over its seeds by {spread:.2f} points (sd, n = "
                f"{len(arm.values)}), {spread / others:.1f} times the {others:.2f} of the other "
                "students' arms"
            )
            yield scene.finding("wide-spread", text, arm.valid)


def outlier(scene: Scene) -> Iterator[Finding]:
    """SEED-OUTLIER, and whether its teacher explains it."""
    for arm, others in _with_others(scene):
        cell = _outlier(scene, arm, others)
        if cell is not None:
            centre = median(arm.values)
            found = scene.accuracy[cell.config.path]
            text = (
                f"{arm.label}, seed {cell.config.seed} ({found:.2f} %) is an outlier: "
                f"{found - centre:+.2f} points from the median of {len(arm.values)} seeds"
                f"{_against_pure(scene, found)}{_explained(scene, arm, cell)}"
            )
            yield scene.finding("seed-outlier", text, [cell])


def _outlier(scene: Scene, arm: Arm, others: float | None) -> Cell | None:
    """From four seeds by the median absolute deviation, of three by their range."""
    if len(arm.values) < MIN_SEEDS:
        return None
    centre = median(arm.values)
    cell = max(arm.valid, key=lambda cell: abs(scene.accuracy[cell.config.path] - centre))
    distance = abs(scene.accuracy[cell.config.path] - centre)
    if len(arm.values) >= FEW:
        deviation = median(abs(v - centre) for v in arm.values)
        return cell if distance > max(FAR * deviation, 1.0) else None
    span = max(arm.values) - min(arm.values)
    return cell if others and span > RANGE * others else None


def _against_pure(scene: Scene, found: float) -> str:
    pure = scene.pure
    if pure and pure.values and found < min(pure.values):
        return ", below every pure seed"
    return ""


def _explained(scene: Scene, arm: Arm, cell: Cell) -> str:
    """What is known of the outlier's teacher."""
    early = handed(cell)
    if early and early.epoch is not None and early.accuracy is not None:
        return f"; its teacher was then at about epoch {early.epoch}, at {early.accuracy:.2f} %"
    taught = _teachers(scene, arm)
    own = taught.get(cell.config.seed)
    if own is not None and len(taught) >= MIN_SEEDS:
        low = scene.accuracy[cell.config.path] < median(arm.values)
        others = [accuracy for seed, accuracy in taught.items() if seed != cell.config.seed]
        if (own < min(others)) if low else (own > max(others)):
            return f"; its teacher is also the {'lowest' if low else 'highest'} ({own:.2f} %)"
    return ""


def teacher_driven(scene: Scene) -> Iterator[Finding]:
    """TEACHER-DRIVEN: a student's accuracy follows that of its own teacher."""
    control = _follows(scene, scene.pure) if scene.pure else None
    found = [(row.arm, r) for row in scene.methods if (r := _follows(scene, row.arm)) is not None]
    strong = [(arm, r) for arm, r in found if r > STRONG]
    if not strong:
        return
    parts = [
        f"r = {r:.3f} over {len(arm.values)} seeds{_at_hand_over(scene, arm)}" for arm, r in strong
    ]
    doubt = ""
    if control is not None and control > STRONG:
        doubt = f"; pure students, which never saw it, have r = {control:.2f}: not identified"
    elif any(len(arm.values) < FEW for arm, _ in strong):
        doubt = "; suggestive only"
    cells = [cell for arm, _ in strong for cell in arm.valid]
    if len(strong) == 1:
        text = f"{strong[0][0].label} follows its own teacher's accuracy: {parts[0]}{doubt}"
        yield scene.finding("teacher-driven", text, cells)
        return
    named = [f"{arm.label} {part}" for (arm, _), part in zip(strong, parts, strict=True)]
    text = f"{len(strong)} methods follow the accuracy of their own teachers{doubt}"
    yield scene.finding("teacher-driven", text, cells, named)


def _at_hand_over(scene: Scene, arm: Arm) -> str:
    """The correlation with what the teacher was when it was loaded, if that is known."""
    final = _teachers(scene, arm)
    then = {}
    for cell in arm.valid:
        early = handed(cell)
        known = early.accuracy if early else final.get(cell.config.seed)
        if known is not None:
            then[cell.config.seed] = known
    pairs = [(arm.by_seed[seed], accuracy) for seed, accuracy in then.items()]
    if then == final or len(pairs) < len(arm.values):
        return ""
    r = correlation([pair[0] for pair in pairs], [pair[1] for pair in pairs])
    return "" if r is None else f" (r = {r:.3f} with its accuracy when it was loaded)"


def teachers_had(scene: Scene, arm: Arm) -> dict[int, float]:
    """By student seed, the accuracy of the teacher it had, as it was when it was loaded.

    A teacher still in training then has its best until then; if that is not known, and where
    there is no teacher, the seed is left out.
    """
    recorded, found = arm.column("teacher_accuracy"), {}
    for cell in arm.valid:
        seed, early = cell.config.seed, handed(cell)
        known = scene.accuracy.get(str(cell.config.teacher_path), recorded.get(seed))
        if known is not None and early is None:
            found[seed] = known
        elif early is not None and early.accuracy is not None:
            found[seed] = early.accuracy
    return found


def _follows(scene: Scene, arm: Arm) -> float | None:
    taught = _teachers(scene, arm)
    both = [seed for seed in arm.by_seed if seed in taught]
    if len({taught[seed] for seed in both}) < MIN_SEEDS:
        return None
    return correlation([arm.by_seed[seed] for seed in both], [taught[seed] for seed in both])


def _teachers(scene: Scene, arm: Arm) -> dict[int, float]:
    """By student seed, its teacher's accuracy by the same kind of epoch."""
    one = len(scene.survey.round.all_teachers) == 1
    if one and (scene.teacher is None or not scene.teacher.values):
        return arm.column("teacher_accuracy")
    return teachers_now(scene.survey, arm, scene.arms)


def compared(scene: Scene) -> Iterator[Finding]:
    """TEACHERS-COMPARED: whether the strongest teacher is the best one for each method."""
    groups: dict[tuple[str, str, str], list[Arm]] = {}
    for row in scene.methods:
        if row.arm.values and one_of_several(scene.survey.round, row.arm.cells[0].config):
            key = (row.arm.method, row.arm.model, row.arm.axes)
            groups.setdefault(key, []).append(row.arm)
    for found in groups.values():
        levels = {one.label: mean(_teachers(scene, one).values() or [0.0]) for one in found}
        if len(found) < 2 or not all(levels.values()):
            continue
        best = max(found, key=lambda one: mean(one.values))
        strongest = max(found, key=lambda one: levels[one.label])
        others = sorted(found, key=lambda one: -levels[one.label])
        parts = [f"{shown(one)}: teacher {levels[one.label]:.2f} %" for one in others]
        run = best.cells[0].config
        what = f"{methods.declared(run.method, run.files).label} of {run.model} {best.axes}".strip()
        if best is strongest:
            text = f"{what}: the strongest teacher, {best.teacher}, is the best one"
        else:
            gap = difference(best.by_seed, strongest.by_seed, "paired", best.resolution)
            text = (
                f"{what}: the strongest teacher, {strongest.teacher}, is not the best one; with "
                f"{best.teacher} the accuracy is {interval(gap)} points higher"
            )
        yield scene.finding("teachers-compared", text, [c for a in found for c in a.valid], parts)


def no_control(scene: Scene) -> Iterator[Finding]:
    """NO-SAME-ARCHITECTURE: several teachers, none of them of the student's own network."""
    round_ = scene.survey.round
    taught = {row.arm.model for row in scene.methods if row.arm.teacher in round_.all_teachers}
    without = sorted(taught - set(round_.all_teachers))
    if len(round_.all_teachers) > 1 and without and "self" not in round_.methods:
        text = (
            f"No teacher has the network of the student {', '.join(without)}: what any teacher "
            "gives cannot be told from what a stronger one adds"
        )
        yield scene.finding("no-same-architecture", text)


def smoothed(scene: Scene) -> Iterator[Finding]:
    """A teacher trained with label smoothing teaches by its logits (Mueller et al. 2019)."""
    cells = scene.teacher.cells if scene.teacher else ()
    rate = max((cell.config.training.label_smoothing for cell in cells), default=0.0)
    arm = next((arm for arm in scene.arms if arm.method == "logit" and arm.values), None)
    if rate and arm:
        text = (
            f"The teachers were trained with label smoothing {rate:g}, which is known to weaken "
            "distillation by logits (Mueller et al. 2019): other recipes may rank it otherwise"
        )
        yield scene.finding("smoothed-teacher", text, arm.valid)


def _with_others(scene: Scene) -> Iterator[tuple[Arm, float | None]]:
    """Every student's arm with the pooled sd of the others."""
    students = [arm for arm in scene.arms if arm.role != "teacher"]
    parts = [spread_parts([arm.values]) for arm in students]
    before = [*accumulate(parts, _added, initial=(0.0, 0))]
    after = [*accumulate(reversed(parts), _added, initial=(0.0, 0))][::-1]
    for place, arm in enumerate(students):
        squares, freedom = _added(before[place], after[place + 1])
        yield arm, sqrt(squares / freedom) if freedom else None


def _added(a: tuple[float, int], b: tuple[float, int]) -> tuple[float, int]:
    return a[0] + b[0], a[1] + b[1]
