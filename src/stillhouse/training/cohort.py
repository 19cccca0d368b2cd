"""Open a cohort: data, teacher, and one claimed, resumed, recorded member per run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from stillhouse.config.identity import as_written, counted, difference, identity
from stillhouse.config.recorded import recorded
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError, one_line, reason_of
from stillhouse.methods.objective import effective_ratio
from stillhouse.plugin import kept, source
from stillhouse.runs import environment
from stillhouse.runs.chance import chance_bound
from stillhouse.runs.claim import Claim, Superseded
from stillhouse.runs.files import write_once
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import Run, dump_sealed, train_anew
from stillhouse.training import checkpoint
from stillhouse.training.loop import Cohort, Member
from stillhouse.training.precision import machine
from stillhouse.training.recorder import Recorder
from stillhouse.training.reopen import Place, Shared, reopen
from stillhouse.training.trainer import Trainer

OTHER_IMAGES = (
    "it was started on other images, or on the same images in another order, which changes steps "
    "and subsets: give the folder of those images as --data-root (`stillhouse data check` shows "
    "what a folder holds); or "
)


def open_cohort(configs: list[RunConfig], place: Place, on_error: Callable[[str], None]) -> Cohort:
    """Claim, build and resume every run; errors of a run are passed to `on_error`.

    `configs` are resolved and agree in everything that a cohort shares. Raises StillhouseError if
    shared data or the teacher is missing.
    """
    shared = reopen(configs, place)
    spec = shared.data.spec
    if shared.data.note:
        on_error(shared.data.note)
    cohort = Cohort([], shared, chance_bound(spec.test_images, spec.commonest), on_error)
    for config in configs:
        try:
            if member := _open_member(config, shared, on_error):
                cohort.members.append(member)
        except Exception as error:  # noqa: BLE001 - a method is foreign code; the others continue
            on_error(f"{config.path}: {reason_of(error)}")
            cohort.failures += 1
    return cohort


def _open_member(
    config: RunConfig, shared: Shared, on_error: Callable[[str], None]
) -> Member | None:
    """The run as a member, or None if it is completed or another attempt has taken over.

    `on_error` is called with the warnings of resuming.
    """
    folder = shared.place.folder(config.path)
    teacher = shared.teacher if config.teacher else None
    facts = {
        "identity": identity(config),
        "teacher": teacher.facts if teacher else None,
        "data": shared.content,
    }
    folder.path.mkdir(parents=True, exist_ok=True)
    check_same(folder, config, facts)
    if started := folder.started():
        facts["identity"] = started["identity"]  # another version may compute another hash
    if folder.completed():
        return None
    recorder = Recorder(folder, Claim.take(folder), checkpoint.mark(facts), shared.place.keep)
    if folder.completed():  # by the holder of the previous attempt, since the last check
        recorder.leave()
        return None
    try:
        trainer = shared.trainer(config)
        _write_run(folder, shared.place, facts, trainer)
        for note in shared.notes.get(config.model, []):
            recorder.log.info("%s", note)
            on_error(f"{config.path}: {note}")
        for warning in _resume(trainer, folder, recorder, shared):
            recorder.log.warning("%s", warning)
            on_error(f"{config.path}: {warning}")
    except Superseded as error:
        recorder.give_way(error)
        return None
    except Exception as error:
        recorder.fail(error)
        raise
    recorder.start(trainer)
    return Member(trainer, recorder, {**facts, "cost": _cost(trainer)})


def check_same(folder: RunFolder, config: RunConfig, facts: dict[str, Any]) -> None:
    """Raise RunError with the difference if the folder holds another configuration."""
    run, was = folder.started(), recorded(folder)
    if run is None or was is None:
        return
    changed = difference(counted(was), counted(config))
    changed += difference({"data": run["data"]}, {"data": facts["data"]})
    changed += difference(_taught_by(run), _taught_by(facts))
    if changed:
        lines = [f"{field}: {as_written(was)} -> {as_written(now)}" for field, was, now in changed]
        raise RunError(
            f"{folder.path} was started with another configuration:\n    " + "\n    ".join(lines),
            (OTHER_IMAGES if run["data"] != facts["data"] else "") + train_anew(folder.path),
        )


def _taught_by(facts: Run | dict[str, Any]) -> dict[str, Any]:
    """Return which weights teach; a teacher's accuracy may differ between machines."""
    return {"teacher": {"sha256": facts["teacher"]["sha256"] if facts["teacher"] else None}}


def _write_run(folder: RunFolder, place: Place, facts: dict[str, Any], t: Trainer) -> None:
    ratios = effective_ratio(t.coefficients)  # to cross entropy, which may have no part in it
    run = {
        "config": t.config.model_dump(mode="json"),
        **facts,
        "coefficients": t.coefficients,
        "effective_ratio": {k: v for k, v in ratios.items() if math.isfinite(v)},
        "code": environment.code(),
        "machine": machine(t.device),
    }
    for file, copy in zip(t.config.files, kept(t.config.files, place.experiments), strict=True):
        copy.path.parent.mkdir(parents=True, exist_ok=True)
        write_once(copy.path, source(file))
    write_once(folder.run, dump_sealed(run))


def _resume(trainer: Trainer, folder: RunFolder, recorder: Recorder, shared: Shared) -> list[str]:
    """Restore a run's state from its last checkpoint; returns warnings."""
    found, warnings = checkpoint.load_newest(folder, recorder.run)
    if found is not None:
        _load(trainer, found)
    else:
        shared.pretrain(trainer, lambda share: recorder.beat(trainer, f"pretraining {share:.0%}"))
    return warnings


def _load(trainer: Trainer, found: checkpoint.Found) -> None:
    try:
        trainer.load(found.state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(
            f"{found.path}: not a state of this run ({one_line(error)})", checkpoint.CURE
        ) from error


def _cost(trainer: Trainer) -> dict[str, int]:
    """Return parameter counts: of the evaluated network, and of the method's modules beside it.

    The latter are counted by whether they are trained or frozen.
    """
    model = trainer.method.inference_model(trainer.network)
    evaluated = {id(p): p for p in model.parameters()}
    own = [p for p in trainer.method.parameters() if id(p) not in evaluated]
    return {
        "parameters": sum(p.numel() for p in evaluated.values()),
        "method_parameters": sum(p.numel() for p in own if p.requires_grad),
        "method_frozen_parameters": sum(p.numel() for p in own if not p.requires_grad),
    }
