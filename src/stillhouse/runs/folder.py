"""The files of a run.

experiments/Cifar10/rkd/ResNet112_to_ResNet56/0/
    run.json             what is trained, by which code, from which teacher
    attempts/001/        one folder per attempt, written by that attempt alone:
        claim.json       the writer (host, process, job)
        released.json    who released this attempt's claim (`stillhouse reset --unlock`)
        status.json      progress, heartbeat, how it ended
        metrics.jsonl    one record per epoch
        train.log        the log for readers
        checkpoint.pt    the state to resume from; the previous one is kept
    metrics.jsonl        the completing attempt's records
    final.safetensors    the inference network at the end; best.safetensors at its best epoch
    ema.safetensors      the average of its weights over the steps, with `ema_decay`
    method.safetensors   the method's own modules, if it has any
    predictions.safetensors  the class predicted for every test image, int16, in row order
    result.json          written once: the only mark of completion
    own_loss.json        what `stillhouse verify --losses` measured
    representations.safetensors, extracted.json    what `stillhouse extract` recorded

What a run ends with is first written into the attempt's folder. `result.json` names the attempt
that completed the run, and only then are that attempt's files moved up.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from stillhouse.errors import RunError
from stillhouse.runs.index import ReadOnce
from stillhouse.runs.records import (
    HOLDER,
    RESULT,
    RUN,
    STATUS,
    Epoch,
    Holder,
    Result,
    Run,
    Status,
    read_epochs,
    train_anew,
)

Which = Literal["final", "best"]
KEPT_IN_MEMORY = 20_000
DIGITS = 3  # of an attempt's folder, at least
_STARTED, _COMPLETED = ReadOnce[Run](KEPT_IN_MEMORY), ReadOnce[Result](KEPT_IN_MEMORY)


class File:
    """Descriptor of a file: `folder.status` is the path `folder.path / "status.json"`."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, folder: Attempt | RunFolder, owner: type) -> Path:
        return folder.path / self.name


@dataclass(frozen=True)
class Attempt:
    """The folder of one attempt."""

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
        """Return the number of the attempt, from 1."""
        return int(self.path.name)

    def read_status(self) -> Status:
        """Return the last written status; without one, the attempt is running."""
        return STATUS.read(self.status) if self.status.exists() else {"state": "running"}

    def read_claim(self) -> Holder | None:
        """Return the claim, or None if it is not written yet."""
        return HOLDER.read(self.claim) if self.claim.exists() else None


@dataclass(frozen=True)
class RunFolder:
    """The folder of a run; nothing is created before the first write."""

    path: Path
    run: ClassVar = File("run.json")
    result: ClassVar = File("result.json")
    final: ClassVar = File("final.safetensors")
    best: ClassVar = File("best.safetensors")
    ema: ClassVar = File("ema.safetensors")
    method: ClassVar = File("method.safetensors")
    predictions: ClassVar = File("predictions.safetensors")
    own_loss: ClassVar = File("own_loss.json")

    def attempts(self) -> list[Attempt]:
        """Return all attempts, oldest first."""
        try:
            names = os.listdir(self.path / "attempts")
        except (FileNotFoundError, NotADirectoryError):
            return []
        numbers = [int(name) for name in names if len(name) >= DIGITS and name.isdecimal()]
        return [self.attempt(number) for number in sorted(numbers)]

    def attempt(self, number: int) -> Attempt:
        """Return the folder of attempt `number` (from 1)."""
        return Attempt(self.path / "attempts" / f"{number:0{DIGITS}d}")

    def metrics(self) -> Path | None:
        """Return the metrics file of the completed run, else of the newest attempt with one."""
        files = [attempt.metrics for attempt in self.attempts()] + [self.path / "metrics.jsonl"]
        return next((file for file in reversed(files) if file.exists()), None)

    def records(self, result: Result | None = None) -> list[Epoch]:
        """Return one record per finished epoch. Raises RunError if they are damaged.

        `result` is that of a completed run, where it has been read already.
        """
        if result := result or self.completed():
            return read_epochs(self.path / "metrics.jsonl", result["metrics"])
        file = self.metrics()
        try:
            return read_epochs(file) if file else []
        except RunError:
            if file and file.exists():
                raise
            return self.records()  # it has been moved up since

    def started(self) -> Run | None:
        """Return the run's `run.json`, or None if it never started. Raises RunError if damaged."""
        return _STARTED.get(self.run, lambda: RUN.read(self.run))

    def completed(self) -> Result | None:
        """Return the result of a completed run, or None.

        Raises RunError if `result.json` is damaged or belongs to another run.
        """
        result = _COMPLETED.get(self.result, lambda: RESULT.read(self.result))
        if result is None:
            return None
        run = self.started()
        if run is None:
            raise RunError(
                f"{self.run} is missing, though the run is complete", train_anew(self.path)
            )
        if run["identity"] != result["identity"]:
            raise RunError(
                f"{self.result} belongs to another run: {self.run.name} differs",
                train_anew(self.path),
            )
        return result

    def teaching_weights(self, result: Result) -> tuple[Which, Path, str | None]:
        """Return the weights with which a finished run teaches: which, their file, their SHA-256.

        They are those of the best epoch if it was chosen on validation images, else the final ones.
        An imported run has no weights and no SHA-256.
        """
        which: Which = "best" if result["best"]["chosen_on"] == "validation" else "final"
        file = self.best if which == "best" else self.final
        return which, file, result["weights"].get(which)
