"""Train the first steps of a run again and compare the bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stillhouse.config.identity import difference
from stillhouse.config.recorded import recorded
from stillhouse.errors import RunError
from stillhouse.models.base import fingerprint
from stillhouse.plugin import kept
from stillhouse.runs import environment
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import Run
from stillhouse.training.precision import machine
from stillhouse.training.reopen import Place, reopen
from stillhouse.training.trainer import Trainer


@dataclass(frozen=True)
class Verified:
    """`checks` are (what, recorded hash, hash now); `changed` (field, then, now) of the code, the
    packages and the machine.
    """

    checks: list[tuple[str, str, str]]
    changed: list[tuple[str, Any, Any]]


def verify(folder: RunFolder, place: Place, steps: int) -> Verified:
    """Repeat the first steps, at most `steps`, according to `run.json`, and compare hashes.

    Writes only a missing pretrained part. Raises RunError if no hash is recorded yet.
    """
    run, config = folder.started(), recorded(folder)
    if run is None or config is None:
        raise RunError(f"{folder.run} is missing", "train the run first")
    marks = _marks(folder, steps)
    config = config.model_copy(update={"files": kept(config.files, place.experiments)})
    shared = reopen([config], place)
    trainer = shared.trainer(config)
    checks = [("dataset", run["data"], shared.content)]
    if shared.teacher:
        taught_by = run["teacher"]["sha256"] if run["teacher"] else "no teacher"
        checks.append(("teacher's weights", taught_by, shared.teacher.facts["sha256"]))
        shared.pretrain(trainer)
    for mark, before in marks.items():
        while trainer.position[1] < mark:
            batch = shared.inputs.batch(shared.batches.batch(*trainer.position))
            trainer.step(batch, shared.inputs.teach(batch))
        found = fingerprint(trainer.network, trainer.method)
        checks.append((f"weights after {mark} steps", before, found))
    return Verified(checks, _changed(run, trainer))


def _marks(folder: RunFolder, steps: int) -> dict[int, str]:
    records = folder.records()
    if not records or "hashes" not in records[0]:
        raise RunError(
            f"{folder.path}: no hash of its first steps is recorded",
            "train it to the end of its first epoch",
        )
    hashes = {int(mark): value for mark, value in records[0]["hashes"].items()}
    return {mark: hashes[mark] for mark in sorted(hashes) if mark <= steps}


def _changed(run: Run, trainer: Trainer) -> list[tuple[str, Any, Any]]:
    now = {"code": environment.code(), "machine": machine(trainer.device)}
    return difference({name: run.get(name) for name in now}, now)
