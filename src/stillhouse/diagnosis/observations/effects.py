"""Rules about differences: to the pure student and to the teacher."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mean

from stillhouse.diagnosis.codes import Level
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations.base import Scene, shown
from stillhouse.diagnosis.observations.teachers import teachers_had
from stillhouse.rounds.survey import Cell
from stillhouse.stats.arms import Arm
from stillhouse.stats.frame import Row, pure_of
from stillhouse.stats.inference import Difference
from stillhouse.stats.summary import MIN_SEEDS
from stillhouse.stats.verdict import MARGIN
from stillhouse.stats.wording import SHORT, interval, is_p, p_text

COVERS = "The interval of the difference to the pure student, in points, covers 0"
LITTLE = 0.5
HELD_BACK = 3.0  # points of training accuracy
CALIBRATION = 2.0


def decided(scene: Scene) -> Iterator[Finding]:
    """HELPS, HURTS, EQUIVALENT: intervals that exclude 0, or every difference that matters."""
    words = {"helps": "is above", "hurts": "is below", "equivalent": "is as good as"}
    for row in scene.methods:
        if row.verdict is None or row.to_pure is None or row.verdict.word not in words:
            continue
        word = row.verdict.word
        text = (
            f"{shown(row.arm)} {words[word]} the pure student: {interval(row.to_pure)} points, "
            f"{_p_values(scene, row)}"
        )
        if row.verdict.disputed:
            text += "; the tests disagree, so it is a candidate and no result"
        level: Level = "warning" if row.verdict.disputed else "finding"
        yield scene.finding(word, text, row.arm.valid, level=level)


def inconclusive(scene: Scene) -> Iterator[Finding]:
    """INCONCLUSIVE: what this number of seeds cannot tell, and how many might."""
    open_ = [row for row in scene.methods if row.verdict and row.verdict.word == "inconclusive"]
    for start in dict.fromkeys(_why_open(row.to_pure) for row in open_ if row.to_pure):
        rows = [row for row in open_ if row.to_pure and _why_open(row.to_pure) == start]
        cells = [cell for row in rows for cell in row.arm.valid]
        yield scene.finding("inconclusive", start, cells, [_gap(row) for row in rows])


def _why_open(found: Difference) -> str:
    if found.low is None or found.high is None:
        if found.n < MIN_SEEDS:
            return "One or two seeds show no interval"
        return "The seeds differ by less than one test image, which shows no interval"
    if found.low <= 0 <= found.high:
        return COVERS
    return "The interval does not cover 0, but p adjusted for all comparisons is not below 0.05"


def below_pure(scene: Scene) -> Iterator[Finding]:
    """Methods whose every seed is below every pure seed, however few there are."""
    for row in scene.methods:
        pure = pure_of(row.arm, scene.pures)
        if pure and pure.values and row.arm.values and max(row.arm.values) < min(pure.values):
            assert row.arm.summary.mean is not None and pure.summary.mean is not None
            text = (
                f"{shown(row.arm)} is {pure.summary.mean - row.arm.summary.mean:.2f} points below "
                f"{shown(pure)}: no seed reaches the lowest pure one, {min(pure.values):.2f} %"
            )
            yield scene.finding("below-pure", text, row.arm.valid)


def weak_teacher(scene: Scene) -> Iterator[Finding]:
    """WEAK-TEACHER: a teacher hardly better than the pure student has little to transfer."""
    pure, several = scene.pure, len(scene.survey.round.all_teachers) > 1
    for teacher in scene.teachers:
        if not pure or not teacher.values or not pure.values:
            continue
        gap = mean(teacher.values) - mean(pure.values)
        if gap <= LITTLE:
            which = f"the teacher {teacher.model}" if several else "its teacher"
            text = (
                f"The pure student ({mean(pure.values):.2f} %, n = {len(pure.values)}) is close to "
                f"{which} ({mean(teacher.values):.2f} %, n = {len(teacher.values)}): "
                f"{gap:+.2f} points leave little to transfer"
            )
            yield scene.finding("weak-teacher", text, [*teacher.valid, *pure.valid])


def above_teacher(scene: Scene) -> Iterator[Finding]:
    """STUDENT>TEACHER: a note, by the teacher that each student had, as it was when it taught."""
    above: list[tuple[float, Row, float]] = []
    for row in scene.methods:
        taught = teachers_had(scene, row.arm)
        gaps = [row.arm.by_seed[seed] - accuracy for seed, accuracy in taught.items()]
        if gaps and mean(gaps) > 0:
            above.append((mean(gaps), row, mean(taught.values())))
    if not above:
        return
    several = len(scene.survey.round.all_teachers) > 1
    above.sort(key=lambda found: -found[0])
    parts = [f"{shown(row.arm)} by {gap:.2f} over {level:.2f} %" for gap, row, level in above]
    spread = scene.teacher.summary.std if scene.teacher and not several else None
    beside = f" (standard deviation of the teacher's seeds: {spread:.2f})" if spread else ""
    text = f"Above the teacher that each student had, in points{beside}"
    cells = [cell for _, row, _ in above for cell in row.arm.valid]
    yield scene.finding("above-teacher", text, cells, parts)


def above_unfinished_teacher(scene: Scene) -> Iterator[Finding]:
    """STUDENT>TEACHER where the teacher was cut off: no comparison yet."""
    students: dict[int, list[tuple[Arm, Cell]]] = {}
    for arm in scene.arms:
        for cell in arm.valid:
            students.setdefault(cell.config.seed, []).append((arm, cell))
    several = len(scene.survey.round.all_teachers) > 1
    for cell in (cell for teacher in scene.teachers for cell in teacher.cells):
        scores = scene.series(cell, "test.accuracy")
        if cell.shown not in ("lost", "stopped") or not scores:
            continue
        for arm, student in students.get(cell.config.seed, []):
            if several and student.config.teacher_path != cell.config.path:
                continue
            found = scene.accuracy[student.config.path]
            if found > max(scores):
                text = (
                    f"{arm.label}, seed {student.config.seed} ({found:.2f} %) is above its "
                    f"teacher ({max(scores):.2f} %), which is unfinished at epoch "
                    f"{cell.state.epoch} of {cell.config.training.epochs}: no comparison yet"
                )
                yield scene.finding("above-unfinished-teacher", text, [student, cell])


def selection_bias(scene: Scene) -> Iterator[Finding]:
    """SELECTION-BIAS: choosing the best epoch adds more than half of the difference to pure."""
    rows = [
        row
        for row in scene.methods
        if row.selection is not None
        and row.to_pure
        and row.selection > 0.5 * abs(row.to_pure.value)
    ]
    if rows and not scene.survey.validated(scene.dataset):
        parts = [
            f"{row.arm.label} {row.selection:.2f} of {abs(row.to_pure.value):.2f}"
            for row in rows
            if row.to_pure
        ]
        text = (
            "Choosing the best epoch on the test images adds more than half of the difference to "
            "pure, in points"
        )
        cells = [cell for row in rows for cell in row.arm.valid]
        yield scene.finding("selection-bias", text, cells, parts)


def underfits(scene: Scene) -> Iterator[Finding]:
    """Training accuracy well below the pure student's, and test accuracy too."""
    level = _trained(scene, scene.pure) if scene.pure and scene.pure.values else None
    for row in scene.methods:
        trained = _trained(scene, row.arm)
        if level is None or trained is None or not row.to_pure or row.to_pure.value >= 0:
            continue
        if trained < level - HELD_BACK:
            text = (
                f"{shown(row.arm)} fits its training images worse than pure ({trained:.1f} against "
                f"{level:.1f} %) and tests worse: too much weight on its term?"
            )
            yield scene.finding("underfits", text, row.arm.valid)


def calibration(scene: Scene) -> Iterator[Finding]:
    """CALIBRATION: an expected calibration error that differs from pure's by two points."""
    pure = next((row for row in scene.frame.rows if row.arm.role == "pure"), None)
    if pure is None or pure.ece is None:
        return
    rows = [row for row in scene.methods if row.ece and abs(row.ece - pure.ece) > CALIBRATION]
    if rows:
        parts = [f"{row.arm.label} {row.ece:.1f} %" for row in rows]
        text = f"The expected calibration error differs from the pure student's {pure.ece:.1f} %"
        cells = [cell for row in rows for cell in row.arm.valid]
        yield scene.finding("calibration", text, cells, parts)


def swept(scene: Scene) -> Iterator[Finding]:
    """Several values of an axis on the same test images: the best of them is chosen, not found."""
    values: dict[str, list[Row]] = {}
    for row in scene.methods:
        if row.arm.axes and row.arm.values:
            values.setdefault(row.arm.method, []).append(row)
    for rows in values.values():
        if len(rows) > 1:
            best = max(rows, key=lambda row: mean(row.arm.values))
            parts = [f"{row.arm.axes}: {mean(row.arm.values):.2f} %" for row in rows]
            text = (
                f"The best value of {best.arm.name} was chosen on the test images, from "
                f"{len(rows)}: expect less of it on others"
            )
            cells = [cell for row in rows for cell in row.arm.valid]
            yield scene.finding("swept", text, cells, parts)


def _gap(row: Row) -> str:
    assert row.to_pure is not None and row.verdict is not None
    needs = f", needs about {row.verdict.needs} seeds" if row.verdict.needs else ""
    clear = row.to_pure.low is not None and _why_open(row.to_pure) != COVERS
    adjusted = f", adjusted p {is_p(row.adjusted)}" if clear else ""
    return f"{row.arm.label} {interval(row.to_pure)} (n = {row.to_pure.n}{adjusted}{needs})"


def _p_values(scene: Scene, row: Row) -> str:
    assert row.to_pure is not None
    own = f"{SHORT[row.to_pure.test]} p {is_p(row.to_pure.p)} (adjusted {p_text(row.adjusted)})"
    parts = [own]
    if row.sensitivity and row.sensitivity.p is not None:
        parts.append(f"{SHORT[row.sensitivity.test]} p {is_p(row.sensitivity.p)}")
    if row.dunnett is not None:
        parts.append(f"Dunnett p {is_p(row.dunnett)}")
    if row.verdict and row.verdict.word == "equivalent":
        parts.append(f"margin {MARGIN:g}")
    return ", ".join(parts)


def _trained(scene: Scene, arm: Arm) -> float | None:
    """The mean final training accuracy of an arm's valid runs."""
    found = [scene.series(cell, "train.accuracy")[-1:] for cell in arm.valid]
    known = [accuracy for last in found for accuracy in last]
    return mean(known) if known else None
