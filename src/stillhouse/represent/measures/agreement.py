"""Agreement of a student's predictions with its teacher's."""

from __future__ import annotations

from collections.abc import Callable

from stillhouse.represent.measures.base import Measure, NotApplicable
from stillhouse.represent.measures.inputs import Predictions


def _agreement(given: Predictions) -> float:
    assert given.teacher is not None
    return 100 * float((given.logits.argmax(axis=1) == given.teacher.argmax(axis=1)).mean())


def _excess(given: Predictions) -> float:
    assert given.teacher is not None
    student = float((given.logits.argmax(axis=1) == given.labels).mean())
    teacher = float((given.teacher.argmax(axis=1) == given.labels).mean())
    by_chance = student * teacher + (1 - student) * (1 - teacher) / (given.classes - 1)
    return _agreement(given) - 100 * by_chance


def _on_errors(given: Predictions) -> float:
    assert given.teacher is not None
    teacher = given.teacher.argmax(axis=1)
    wrong = teacher != given.labels
    if not wrong.any():
        raise NotApplicable("the teacher makes no error")
    return 100 * float((given.logits.argmax(axis=1) == teacher)[wrong].mean())


def _measure(
    name: str,
    compute: Callable[[Predictions], float],
    low: float,
    definition: str,
    floor: str,
    reading: str,
) -> Measure:
    return Measure(
        name=name,
        kind="predictions",
        unit="points" if name == "agreement_excess" else "percent",
        range=(low, 100.0),
        direction="similarity",
        invariances=("logit_shift", "isotropic_scaling"),
        cost="N C",
        citation="Stanton et al. 2021; Geirhos et al. 2020",
        compute=compute,
        definition=definition,
        floor=floor,
        ceiling="Two teachers of other seeds with each other; 100 for a copy.",
        pitfalls="Agreement rises with accuracy by itself: read the excess.",
        reading=reading,
        needs=("teacher",),
    )


MEASURES = (
    _measure(
        "agreement",
        _agreement,
        0.0,
        "Share of test rows on which student and teacher predict the same class (of equal logits "
        "the lower class).",
        "What independent errors give: a_s a_t + (1 - a_s)(1 - a_t) / (C - 1).",
        "Over accuracy, with the curve of independent errors.",
    ),
    _measure(
        "agreement_excess",
        _excess,
        -100.0,
        "agreement less a_s a_t + (1 - a_s)(1 - a_t) / (C - 1), the agreement of independent "
        "errors at both accuracies; a difference in points, not kappa.",
        "0: the errors are independent; the pure student's value is the control.",
        "Above the pure student's value: the student copies more than shared difficulty explains.",
    ),
    _measure(
        "agreement_on_errors",
        _on_errors,
        0.0,
        "Share of rows on which the student predicts the teacher's class, among the rows that the "
        "teacher gets wrong.",
        "(1 - a_s) / (C - 1) for independent errors.",
        "Above the pure student's value: the student copies errors.",
    ),
)
