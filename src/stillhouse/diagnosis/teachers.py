"""Students of a teacher that was another one, has changed, or was not ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import fmean
from typing import Any

from stillhouse.diagnosis.balance import margin
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.pace import under_trained

TOLERANCE = 0.2  # points between recorded and measured accuracy, as in the hand-over


def wrong(case: Case) -> Iterator[Finding]:
    """The teacher in `run.json` is not the configured one, or not as good as on record."""
    used, planned, teacher = _used(case), case.config.teacher, case.teacher
    if not used or planned is None:
        return
    known = (used.get("model", planned.model), used.get("seed", planned.seed))
    if known != (planned.model, planned.seed):
        text = f"taught by {known[0]} {known[1]}, planned {planned.model} {planned.seed}"
        yield Finding("wrong-teacher", "certain", (case.fact("teacher", text),))
    elif (
        teacher
        and teacher.state.result
        and used.get("weights") == "final"
        and used.get("accuracy") is not None
    ):
        recorded = teacher.state.result["final"]["test"]["accuracy"]
        if abs(used["accuracy"] - recorded) > TOLERANCE:
            text = f"the teacher measured {used['accuracy']:.2f} %, its record has {recorded:.2f} %"
            yield Finding("wrong-teacher", "certain", (case.fact("teacher", text),))


def changed(case: Case) -> Iterator[Finding]:
    """The teacher's weights are not those that taught."""
    used, teacher = _used(case), case.teacher
    if not used or not teacher or not teacher.state.result or "sha256" not in used:
        return
    hashes: Mapping[str, Any] = teacher.state.result["weights"]
    now = hashes.get(used.get("weights", "final"))
    if now and now != used["sha256"]:
        text = f"taught by weights {used['sha256'][:12]}; {teacher.path} now has {now[:12]}"
        yield Finding("changed-teacher", "certain", (case.fact("sha256", text),))


def half_trained(case: Case) -> Iterator[Finding]:
    """The teacher is unfinished, learned nothing, or was cut short and is worse than pure students.

    A teacher that is only weak was trained to its end, and is no fault of the run. An imported
    record tells from times how far a teacher was, which is an estimate.
    """
    teacher = case.teacher
    if teacher is None or not (case.records or case.state.epoch):
        return
    used = _used(case) or {}
    if used.get("finished_before") is False:
        epoch, best = used.get("epoch_at_start"), used.get("accuracy_at_start")
        when = "before the end of"
        if epoch is not None:
            when = f"at about epoch {epoch} of {teacher.config.training.epochs} of"
        best_until = "" if best is None else f" ({best:.2f} % at best until then)"
        text = f"it started {when} its teacher {teacher.path}{best_until}"
        line = case.fact("finished_before", text)
        yield Finding("half-trained-teacher", "certain" if epoch is None else "likely", (line,))
    elif not teacher.done:
        text = f"{teacher.path} is {teacher.state.name} at epoch {teacher.state.epoch}"
        yield Finding("half-trained-teacher", "certain", (teacher.says(text),))
    elif teacher.learned_nothing:
        yield Finding("half-trained-teacher", "certain", (teacher.at(-1, teacher.learned_nothing),))
    elif teacher.config.model != case.config.model:
        yield from _weak(case, teacher)


def _weak(case: Case, teacher: Case) -> Iterator[Finding]:
    own, pure = teacher.final("test.accuracy"), case.pure()
    if own is None or not pure:
        return
    usual = fmean([value for peer in pure if (value := peer.final("test.accuracy")) is not None])
    if usual - own > margin(teacher) and (any(under_trained(teacher)) or _shorter(teacher, case)):
        lines = (
            teacher.at(-1, f"teacher's test accuracy {own:.2f} %"),
            pure[0].at(-1, f"pure students' {usual:.2f} %"),
        )
        yield Finding("half-trained-teacher", "likely", lines)


def _shorter(teacher: Case, student: Case) -> bool:
    """Whether the teacher had less than half of its student's epochs."""
    return 2 * teacher.config.training.epochs < student.config.training.epochs


def _used(case: Case) -> dict[str, Any] | None:
    used = case.facts.get("teacher")
    return used if isinstance(used, dict) else None
