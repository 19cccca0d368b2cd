"""Where everything of a run lies.

experiments/Cifar10/rkd/ResNet112_to_ResNet56/0/
    run.json             what is trained, by which code, from which teacher
    attempts/001/        one folder an attempt, written by that attempt alone:
        claim.json       who writes here (host, process, job)
        released.json    who ended this attempt's claim by hand (`stillhouse reset --unlock`)
        status.json      how far it is, its heartbeat, how it ended
        metrics.jsonl    one record an epoch
        train.log        what a person reads
        checkpoint.pt    the state to resume from, and the one before it
    metrics.jsonl, final.safetensors, best.safetensors, method.safetensors
    predictions.safetensors  the class predicted for every test image
    result.json          written once: the only mark of completion
    own_loss.json        what `stillhouse verify --losses` measured

What a run ends with is first written into the attempt's folder. `result.json` names the attempt
that completed the run, and only then are that attempt's files moved up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stillhouse.errors import RunError
from stillhouse.runs.records import (
    HOLDER,
    MOVE_AWAY,
    RESULT,
    RUN,
    STATUS,
    Epoch,
    Holder,
    Result,
    Run,
    Status,
    read_epochs,
)


@dataclass(frozen=True)
class Attempt:
    """One attempt's folder."""

    path: Path

    @property
    def number(self) -> int:
        """1 for the first attempt."""
        return int(self.path.name)

    @property
    def claim(self) -> Path:
        """Who writes here."""
        return self.path / "claim.json"

    @property
    def released(self) -> Path:
        """Written by `stillhouse reset --unlock` when the writer is known to be gone."""
        return self.path / "released.json"

    @property
    def status(self) -> Path:
        """Progress, heartbeat and end."""
        return self.path / "status.json"

    def read_status(self) -> Status:
        """The status as last written; an attempt that wrote none yet is running."""
        return STATUS.read(self.status) if self.status.exists() else {"state": "running"}

    def read_claim(self) -> Holder | None:
        """Who writes here, if that is written."""
        return HOLDER.read(self.claim) if self.claim.exists() else None

    @property
    def metrics(self) -> Path:
        """Every epoch's record so far."""
        return self.path / "metrics.jsonl"

    @property
    def log(self) -> Path:
        """The plain log."""
        return self.path / "train.log"

    @property
    def checkpoint(self) -> Path:
        """The newest resumable state."""
        return self.path / "checkpoint.pt"

    @property
    def previous(self) -> Path:
        """The resumable state before the newest."""
        return self.path / "checkpoint.previous.pt"


@dataclass(frozen=True)
class RunFolder:
    """A run's folder; nothing is created until something is written."""

    path: Path

    @property
    def run(self) -> Path:
        """The resolved configuration and provenance."""
        return self.path / "run.json"

    @property
    def result(self) -> Path:
        """The completion marker."""
        return self.path / "result.json"

    @property
    def final(self) -> Path:
        """Final weights of the inference network."""
        return self.path / "final.safetensors"

    @property
    def best(self) -> Path:
        """Weights of the best epoch (by validation, else by test accuracy)."""
        return self.path / "best.safetensors"

    @property
    def method(self) -> Path:
        """Final weights of the method's own modules, where it has any."""
        return self.path / "method.safetensors"

    @property
    def predictions(self) -> Path:
        """`predictions` and `labels` of the test images at the final epoch, int16, in row order."""
        return self.path / "predictions.safetensors"

    @property
    def own_loss(self) -> Path:
        """The method's own loss, of this student and of the pure one."""
        return self.path / "own_loss.json"

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first."""
        names = (folder.name for folder in (self.path / "attempts").glob("[0-9][0-9][0-9]*"))
        numbers = sorted(int(name) for name in names if name.isdecimal())
        return [self.attempt(number) for number in numbers]

    def attempt(self, number: int) -> Attempt:
        """The folder of attempt `number` (from 1)."""
        return Attempt(self.path / "attempts" / f"{number:03d}")

    def metrics(self) -> Path | None:
        """The metrics file to read: of the completed run, else of the newest attempt with one."""
        files = [attempt.metrics for attempt in self.attempts()] + [self.path / "metrics.jsonl"]
        return next((file for file in reversed(files) if file.exists()), None)

    def records(self) -> list[Epoch]:
        """One record per finished epoch. Raises RunError if they are damaged."""
        if result := self.completed():
            return read_epochs(self.path / "metrics.jsonl", result["metrics"])
        file = self.metrics()
        try:
            return read_epochs(file) if file else []
        except RunError:
            if file and file.exists():
                raise
            return self.records()  # it has been moved up since

    def started(self) -> Run | None:
        """What the run was started with, or None if it never was. Raises RunError if damaged."""
        return RUN.read(self.run) if self.run.exists() else None

    def completed(self) -> Result | None:
        """The result of a completed run, or None.

        Raises RunError if `result.json` is there but damaged or another run's.
        """
        if not self.result.exists():
            return None
        result, run = RESULT.read(self.result), self.started()
        if run is None:
            raise RunError(f"{self.run} is missing, though the run is complete", MOVE_AWAY)
        if run["identity"] != result["identity"]:
            raise RunError(f"{self.result} is another run's: {self.run.name} differs", MOVE_AWAY)
        return result
