"""Rules about how numbers came about: recipes and curves."""

from __future__ import annotations

from collections.abc import Iterator

from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations.base import Scene
from stillhouse.rounds import provenance


def confounds(scene: Scene) -> Iterator[Finding]:
    """CONFOUND: arms that differ in more than their method."""
    for note in provenance.confounds(scene.survey, scene.dataset):
        yield scene.finding("confound", note.rstrip("."))


def smoothed(scene: Scene) -> Iterator[Finding]:
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
        yield scene.finding("smoothed-teacher", text, arm.valid)
