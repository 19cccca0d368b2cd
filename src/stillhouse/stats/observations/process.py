"""Rules about how numbers came about: recipes, curves, published spreads."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import stdev

from stillhouse.config.names import label
from stillhouse.published import ReportedCell, estimator, read_reported
from stillhouse.rounds.provenance import footnotes
from stillhouse.rounds.survey import Cell
from stillhouse.stats.arms import accuracy_of
from stillhouse.stats.observations.base import Observation, Scene, listed


def confounds(scene: Scene) -> Iterator[Observation]:
    """CONFOUND: arms that differ in more than their method."""
    for note in footnotes(scene.seen, scene.dataset):
        yield scene.say("warning", "confound", note.rstrip("."))


def smoothed(scene: Scene) -> Iterator[Observation]:
    """A teacher trained with label smoothing teaches by its logits (Mueller et al. 2019)."""
    teacher = scene.teacher
    rate = (
        max((cell.config.training.label_smoothing for cell in teacher.cells), default=0.0)
        if (teacher)
        else 0.0
    )
    arm = next((arm for arm in scene.arms if arm.method == "logit" and arm.values), None)
    if rate and arm:
        text = (
            f"The teachers were trained with label smoothing {rate:g}, which is known to weaken "
            "distillation by logits (Mueller et al. 2019): other recipes may rank it otherwise"
        )
        yield scene.say("note", "smoothed-teacher", text, arm.sound)


def identical(scene: Scene) -> Iterator[Observation]:
    """IDENTICAL-CURVES: runs of different settings whose every epoch has the same numbers."""
    curves: dict[tuple[tuple[float, float], ...], list[Cell]] = {}
    for cell in scene.cells:
        records = scene.records.get(cell.config.path, [])
        curve = tuple((r["test"]["accuracy"], r["test"].get("ce", -1.0)) for r in records)
        if len(curve) > 1:
            curves.setdefault(curve, []).append(cell)
    for cells in curves.values():
        if len(cells) > 1:
            text = (
                f"{len(cells)} runs of different settings have the same test accuracy and loss in "
                "every epoch, to the last bit: did the setting reach the training, or did no "
                "optimizer step happen?"
            )
            yield scene.say("alarm", "identical-curves", text, cells)


@dataclass(frozen=True)
class _Checked:
    cell: ReportedCell
    kind: str
    text: str


def reported_spreads(scene: Scene) -> Iterator[Observation]:
    """Published standard deviations that are not all the same estimator."""
    file = scene.folder / f"{scene.seen.round.round}_reported.csv"
    if not file.exists():
        return
    found = [
        checked
        for cell in read_reported(file)
        if cell.dataset == scene.dataset and (checked := _check(scene, cell))
    ]
    kinds = [one.kind for one in found]
    if len(set(kinds)) < 2 and set(kinds) <= {"ddof=1"}:
        return
    text = (
        f"The {len(found)} reported ± mix estimators: {kinds.count('ddof=1')} with ddof = 1, "
        f"{kinds.count('ddof=0')} with ddof = 0, {kinds.count('neither')} neither "
        f"({listed([one.text for one in found if one.kind != 'ddof=1'])})"
    )
    yield scene.say("warning", "mixed-estimators", text)


def _check(scene: Scene, cell: ReportedCell) -> _Checked | None:
    """Which standard deviation of its runs' best accuracies a reported cell is."""
    arm = next((a for a in scene.arms if (a.method, a.model) == (cell.method, cell.model)), None)
    best = [accuracy_of(run.state, "best") for run in arm.sound] if arm else []
    values = [round(accuracy, 2) for accuracy in best if accuracy is not None]
    if arm is None or len(values) < 2:
        return None
    kind = estimator(values, cell.std)
    name = "Teacher" if arm.role == "teacher" else label(cell.method)
    return _Checked(cell, kind, f"{name} {cell.std:.2f}, by ddof = 1 {stdev(values):.2f}")
