"""Where everything of a run lies.

experiments/Cifar10/rkd/ResNet112_to_ResNet56/0/
    run.json             what is trained, by which code, from which teacher
    attempts/001/        one folder per attempt, written by that attempt alone:
        claim.json       who writes here (host, process, job)
        released.json    who ended this attempt's claim by hand (`stillhouse reset --unlock`)
        status.json      how far it is, its heartbeat, how it ended
        metrics.jsonl    one record per epoch
        train.log        what a person reads
        checkpoint.pt    the state to resume from, and the one before it
    metrics.jsonl        the completing attempt's records
    final.safetensors    the inference network at the end; best.safetensors at its best epoch
    method.safetensors   the method's own modules, where it has any
    predictions.safetensors  the class predicted for every test image, int16, in row order
    result.json          written once: the only mark of completion
    own_loss.json        what `stillhouse verify --losses` measured

What a run ends with is first written into the attempt's folder. `result.json` names the attempt
that completed the run, and only then are that attempt's files moved up.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

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

Which = Literal["final", "best"]


class File:
    """A file of a folder by its name: `folder.status` is the path `folder.path / "status.json"`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: Attempt | RunFolder, owner: type) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class Attempt:
    """One attempt's folder."""

    path: Path
    claim: ClassVar = File("claim.json")
    released: ClassVar = File("released.json")
    status: ClassVar = File("status.json")
    metrics: ClassVar = File("metrics.jsonl")
    log: ClassVar = File("train.log")
    checkpoint: ClassVar = File("checkpoint.pt")
    previous: ClassVar = File("checkpoint.previous.pt")

    @property
    def number(self) -> int:
        """1 for the first attempt."""
        return int(self.path.name)

    def read_status(self) -> Status:
        """The status as last written; an attempt that wrote none yet is running."""
        return STATUS.read(self.status) if self.status.exists() else {"state": "running"}

    def read_claim(self) -> Holder | None:
        """Who writes here, if that is written."""
        return HOLDER.read(self.claim) if self.claim.exists() else None


@dataclass(frozen=True)
class RunFolder:
    """A run's folder; nothing is created until something is written."""

    path: Path
    run: ClassVar = File("run.json")
    result: ClassVar = File("result.json")
    final: ClassVar = File("final.safetensors")
    best: ClassVar = File("best.safetensors")
    method: ClassVar = File("method.safetensors")
    predictions: ClassVar = File("predictions.safetensors")
    own_loss: ClassVar = File("own_loss.json")

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

    def teaching_weights(self, result: Result) -> tuple[Which, Path, str | None]:
        """The weights with which a finished run teaches: which, their file, their SHA-256.

        Those of the best epoch where it was chosen on validation images, else the final ones. An
        imported run has none, and no SHA-256.
        """
        which: Which = "best" if result["best"]["chosen_on"] == "validation" else "final"
        file = self.best if which == "best" else self.final
        return which, file, result["weights"].get(which)
