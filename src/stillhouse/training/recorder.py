"""The only writer of a run's folder."""

from __future__ import annotations

import json
import logging
import os
import resource
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor, nn

from stillhouse.causes import Cause
from stillhouse.config.schema import KEEP_ALL, Keep
from stillhouse.errors import RunError, code_of, describe, one_line, reason_of
from stillhouse.runs.claim import Claim, Superseded
from stillhouse.runs.complete import complete, tidy
from stillhouse.runs.files import blamed_on, read_recorded, write_atomic
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import train_anew
from stillhouse.training import checkpoint
from stillhouse.training.trainer import Record, Trainer

SAVE_SECONDS = 60.0
MAX_WEIGHTS = 1 << 34


class _Log(logging.FileHandler):
    """A log handler that ignores write errors, as on a full disk."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Print nothing: the same error stops the run by itself."""


class Recorder:
    """Write the files of a run: metrics, log, checkpoints, weights and result.

    `run` marks the run in its checkpoints (see `checkpoint.mark`), `keep` says which weights stay.
    """

    def __init__(self, folder: RunFolder, claim: Claim, run: str, keep: Keep = KEEP_ALL) -> None:
        self.keep = keep
        self.folder, self.claim, self.attempt, self.run = folder, claim, claim.attempt, run
        self.log = logging.getLogger(f"stillhouse.run.{folder.path}.{self.attempt.number}")
        self.log.setLevel(logging.INFO)
        self.log.propagate = False
        handler = _Log(self.attempt.log)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.log.addHandler(handler)
        self._position: tuple[int, int] | None = None
        self._started = self._saved = time.monotonic()
        self.claim.write_status("running", **self._facts())

    def start(self, trainer: Trainer) -> None:
        """Record where the attempt starts, and write the earlier records."""
        lines = [json.dumps(record, allow_nan=False) + "\n" for record in trainer.records]
        write_atomic(self.attempt.metrics, "".join(lines).encode())
        epoch, step = self._position = trainer.position
        self.log.info("attempt %d starts at epoch %d step %d", self.attempt.number, epoch, step)
        self.claim.write_status("running", **self._facts(), steps=trainer.steps)

    def beat(self, trainer: Trainer, doing: str = "") -> None:
        """Write a heartbeat with the position."""
        self._position = trainer.position
        if self.claim.due():
            now = {"doing": doing} if doing else trainer.progress()
            self.claim.beat(**self._facts(), **now)

    def step(self, trainer: Trainer) -> None:
        """Write a heartbeat, and a checkpoint if the last one is `SAVE_SECONDS` old."""
        self.beat(trainer)
        in_epoch = trainer.position[1] < trainer.steps
        if in_epoch and time.monotonic() - self._saved >= SAVE_SECONDS:
            self.save(trainer)

    def epoch(self, trainer: Trainer, record: Record) -> None:
        """Append an epoch's record, then save the checkpoint that holds it."""
        self.claim.check()
        with blamed_on(self.attempt.metrics), self.attempt.metrics.open("ab") as file:
            file.write((json.dumps(record, allow_nan=False) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        self.log.info("%s", epoch_line(record, trainer.config.training.epochs))
        self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Write a checkpoint and delete those of earlier attempts."""
        self.claim.check()
        checkpoint.save(self.attempt, self.run, trainer.state())
        checkpoint.discard(self.folder, before=self.attempt.number)
        self._saved = time.monotonic()
        self._position = trainer.position
        self.claim.write_status("running", **self._facts(), **trainer.progress())

    def stop(self, trainer: Trainer, reason: str, code: Cause) -> None:
        """Stop, to be resumed."""
        self.save(trainer)
        self.log.info("stopped: %s", reason)
        self._end("stopped", reason, code)

    def pause(self, reason: str, code: Cause) -> None:
        """Stop at the last checkpoint, to be resumed."""
        self.log.warning("paused: %s", reason)
        self._end("stopped", reason, code)

    def leave(self) -> None:
        """Stop recording a run that is already completed."""
        self._end("finished", "")
        tidy(self.folder)

    def give_way(self, reason: Superseded) -> None:
        """Stop recording a run that another attempt has taken over."""
        self.log.warning("%s", reason)
        with suppress(OSError):  # the messages of an obsolete attempt are not needed
            self._end("stopped", reason.message)
            tidy(self.folder)

    def fail(self, error: Exception) -> str | None:
        """Record a failure with its reason; the traceback of an unexpected error goes to the log.

        Returns the reason if it could not be written into the folder.
        """
        reason = reason_of(error)
        self.log.error("failed: %s", reason, exc_info=None if describe(error) else error)
        try:
            self._end("failed", reason, code_of(error))
        except OSError:
            return reason
        return None

    def finish(self, trainer: Trainer, facts: dict[str, Any]) -> None:
        """Write weights, metrics and predictions into the attempt, then complete the run.

        Raises Superseded if another attempt has completed it before.
        """
        self.claim.check()
        network = trainer.method.inference_model(trainer.network)
        home = self.attempt.path
        ends = {"final": network.state_dict(), "best": trainer.best["weights"]}
        if trainer.ema is not None:
            ends["ema"] = trainer.ema.model.state_dict()
        if own := trainer.method.state_dict():
            ends["method"] = own
        validated = trainer.best["chosen_on"] == "validation"
        dropped = self.keep.drops(trainer.config.method, validated)
        weights = {
            name: write_weights(home / f"{name}.safetensors", tensors)
            for name, tensors in ends.items()
            if name not in dropped
        }
        metrics = "".join(json.dumps(record) + "\n" for record in trainer.records).encode()
        write_atomic(self.attempt.metrics, metrics)
        predictions = write_weights(home / self.folder.predictions.name, trainer.predicted)
        result = {
            **facts,
            "final": trainer.records[-1],
            "best": {name: value for name, value in trainer.best.items() if name != "weights"},
            "weights": weights,
            "metrics": sha256(metrics).hexdigest(),
            "predictions": predictions,
            "finished": time.time(),
        }
        if not complete(self.claim, result):
            raise Superseded(f"{self.folder.path}: another attempt has completed it")
        self.log.info("finished")
        self._end("finished", "")
        tidy(self.folder)

    def _end(self, state: str, reason: str, code: Cause | None = None) -> None:
        for handler in list(self.log.handlers):
            self.log.removeHandler(handler)
            with suppress(OSError):
                handler.close()
        cause = {} if code is None else {"code": code}
        self.claim.write_status(state, reason=reason, **cause, **self._facts())

    def _facts(self) -> Record:
        """Return seconds of this attempt, peak memory of its process in bytes, and its position.

        An attempt that has not resumed yet has no position.
        """
        facts: Record = {
            "seconds": round(time.monotonic() - self._started, 1),
            "memory": process_memory(),
        }
        if self._position is not None:
            facts["epoch"], facts["step"] = self._position
        return facts


def process_memory() -> int:
    """Return the peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    # Too high on Linux: it includes the parent's memory at the start of this process.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def epoch_line(record: Record, epochs: int) -> str:
    """One line for the log: `epoch 3/8 lr 0.04 ce 0.52 kd 1.3 train 81.2 test 83.0 12.1 s`."""
    train = dict(record["train"])
    accuracy = train.pop("accuracy")
    terms = " ".join(f"{name} {value:.4g}" for name, value in train.items())
    held_out = f"val {record['validation']['accuracy']:.2f} " if "validation" in record else ""
    averaged = f"ema {record['ema']['test']['accuracy']:.2f} " if "ema" in record else ""
    return (
        f"epoch {record['epoch']}/{epochs} lr {record['lr']:.4g} {terms} train {accuracy:.2f} "
        f"{held_out}test {record['test']['accuracy']:.2f} {averaged}"
        f"{record['time']['seconds']:.1f} s"
    )


def write_weights(path: Path, weights: dict[str, Tensor]) -> str:
    """Write named tensors to a safetensors file; return its SHA-256."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    content = safetensors.torch.save(tensors)
    write_atomic(path, content)
    return sha256(content).hexdigest()


def load_weights(path: Path, expected: str) -> dict[str, Tensor]:
    """Read weights whose file has the recorded hash. Raises RunError otherwise."""
    content = read_recorded(path, expected, MAX_WEIGHTS, train_anew(path))
    try:
        loaded: dict[str, Tensor] = safetensors.torch.load(content)
    except SafetensorError as error:
        fault = f"{path}: not a weight file ({one_line(error)})"
        raise RunError(fault, train_anew(path)) from error
    return loaded


def load_into(module: nn.Module, path: Path, expected: str) -> None:
    """Load recorded weights into a module. Raises RunError if they differ or do not fit."""
    try:
        module.load_state_dict(load_weights(path, expected))
    except RuntimeError as error:
        raise RunError(
            f"{path}: the weights belong to another network ({one_line(error)})", train_anew(path)
        ) from error
