"""The teacher of a script run: a finished one, or one still in training.

The scripts loaded `best.pth` when the student started, in any state of the teacher, and did not
record it. Start times, durations and the teacher's curve show the state.
"""

from __future__ import annotations

from datetime import datetime

from stillhouse.config.schema import RunConfig
from stillhouse.exchange.scripts.logs import Record
from stillhouse.exchange.scripts.script_run import ScriptRun, outcome


def teacher_facts(run: ScriptRun, config: RunConfig, runs: dict[str, ScriptRun]) -> Record | None:
    """Return the `teacher` of `run.json`; `runs` are all imported runs by path.

    `accuracy` is the best of the teacher's whole record. `finished_before` states whether the
    teacher was completed when the student started; it is missing if the times do not show that. If
    it was not, `epoch_at_start` and `accuracy_at_start` estimate its epoch and its best accuracy
    until then.
    """
    if config.teacher is None:
        return None
    facts: Record = {
        "model": config.teacher.model,
        "seed": config.teacher.seed,
        "weights": "best",
        "file": run.config.get("teacher_weights"),
    }
    teacher = runs.get(str(config.teacher_path))
    if teacher is None:
        return facts
    if teacher.status and "max_acc" in teacher.status:
        facts["accuracy"] = teacher.status["max_acc"]
    done = outcome(teacher).state == "finished"
    lead, length = _lead(teacher, run), teacher.seconds
    if lead is not None and lead >= 0 and length is not None:
        facts["finished_before"] = done and lead >= length
        if lead < length:
            facts |= _at(teacher, lead / length)
    elif not done and run.log and run.log.trained:
        facts["finished_before"] = False
    return facts


def _lead(teacher: ScriptRun, student: ScriptRun) -> float | None:
    """Return seconds from the start of the teacher's logged call to the student's; None if unknown.

    A resumed student had started earlier than its log shows, and a teacher found completed was
    trained by an earlier call.
    """
    first, second = teacher.log, student.log
    if not (first and second and first.started and second.started and first.zone == second.zone):
        return None
    if second.resumed_at is not None or first.already or not second.trained:
        return None
    gap = datetime.fromisoformat(second.started) - datetime.fromisoformat(first.started)
    return gap.total_seconds()


def _at(teacher: ScriptRun, share: float) -> Record:
    """Return the teacher's progress after a share of its logged call, with equal epochs."""
    assert teacher.log is not None
    first = teacher.log.resumed_at or 0
    epoch = first + int(share * len(teacher.log.epochs))
    scores = [r["test"]["accuracy"] for r in teacher.records if r["epoch"] <= epoch]
    known = [*scores, *([teacher.log.best_before] if teacher.log.best_before else [])]
    best = {"accuracy_at_start": max(known)} if known else {}
    return {"epoch_at_start": epoch, **best}
