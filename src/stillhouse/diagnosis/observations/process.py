"""Rules about how numbers came about: recipes and curves."""

from __future__ import annotations

from collections.abc import Iterator

from stillhouse.diagnosis.observations.base import Observation, Scene
from stillhouse.rounds.provenance import footnotes
from stillhouse.rounds.survey import Cell


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
        yield scene.say("note", "smoothed-teacher", text, arm.valid)


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
