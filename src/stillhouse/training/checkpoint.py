"""The state for resuming in one file; its first 32 bytes are the SHA-256 of the rest.

Only tensors and plain values are stored, and they are loaded with `weights_only=True`. A checkpoint
identifies its run and cannot be used for another.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, ValidationError

from stillhouse.errors import RunError
from stillhouse.fields import first_fault
from stillhouse.runs.files import read_bytes, write_atomic
from stillhouse.runs.folder import Attempt, RunFolder
from stillhouse.runs.records import FORMAT

Natural = Annotated[int, Field(ge=0)]
DIGEST_BYTES = 32
MAX_BYTES = 1 << 36
CURE = "remove it; the run resumes from the previous checkpoint, if there is one"


class _Content(BaseModel):
    """The fields of `Trainer.state` that `load_state_dict` does not validate."""

    position: Annotated[list[Natural], Field(min_length=2, max_length=2)]
    network: dict[str, Any]
    method: dict[str, Any]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]
    records: str
    best: dict[str, Any]
    predicted: dict[str, Any]
    stuck: Natural
    tally: dict[str, Any]
    ema: dict[str, Any] = {}


@dataclass(frozen=True)
class Found:
    """An intact checkpoint of the requested run."""

    path: Path
    state: dict[str, Any]


def mark(facts: dict[str, Any]) -> str:
    """The run of a checkpoint: its configuration, its images, its teacher's weights."""
    teacher = facts["teacher"]["sha256"] if facts["teacher"] else ""
    return " ".join((facts["identity"], facts["data"], teacher))


def save(attempt: Attempt, run: str, state: dict[str, Any]) -> None:
    """Write the newest checkpoint of the run marked `run`, and keep the previous one."""
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "run": run, "state": state}, buffer)
    payload = buffer.getvalue()
    if attempt.checkpoint.exists():
        os.replace(attempt.checkpoint, attempt.previous)
    write_atomic(attempt.checkpoint, sha256(payload).digest() + payload)


def load_newest(folder: RunFolder, run: str) -> tuple[Found | None, list[str]]:
    """Return the newest intact checkpoint of the run marked `run`, over all attempts, and warnings.

    Without one the run starts from the beginning. Every skipped checkpoint has a warning, and so
    has a start from the beginning after trained epochs. Raises RunError for a checkpoint written by
    a newer stillhouse.
    """
    warnings: list[str] = []
    attempts = folder.attempts()
    for attempt in reversed(attempts):
        for path in (attempt.checkpoint, attempt.previous):
            if path.exists():
                state = _read(path, run)
                if not isinstance(state, str):
                    return Found(path, state), warnings
                warnings.append(f"{path} {state}; using the previous checkpoint")
    trained = max((attempt.read_status().get("epoch", 0) for attempt in attempts), default=0)
    if warnings or trained:
        warnings.append(
            f"no checkpoint of {trained} trained epochs is left: starting from the beginning"
        )
    return None, warnings


def discard(folder: RunFolder, before: int | None = None) -> None:
    """Remove the checkpoints of all attempts, or of those numbered below `before`."""
    for attempt in folder.attempts():
        if before is None or attempt.number < before:
            attempt.checkpoint.unlink(missing_ok=True)
            attempt.previous.unlink(missing_ok=True)


def _read(path: Path, run: str) -> dict[str, Any] | str:
    """Return the state in a file, or what is wrong with it."""
    data = read_bytes(path, MAX_BYTES, CURE)
    digest, payload = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    if sha256(payload).digest() != digest:
        return "is damaged"
    try:
        found = torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
    except Exception as error:  # noqa: BLE001 - hostile bytes make torch raise anything
        return f"is not a checkpoint ({type(error).__name__})"
    if not isinstance(found, dict) or not isinstance(found.get("format"), int):
        return "is not a checkpoint of stillhouse"
    if found["format"] > FORMAT:
        raise RunError(
            f"{path}: written by a newer stillhouse (format {found['format']}; this one reads up "
            f"to {FORMAT})",
            "update stillhouse",
        )
    if found.get("run") != run:
        return "belongs to another run"
    try:
        _Content.model_validate(found.get("state"), strict=True)
    except ValidationError as error:
        return f"holds no state of a run: {first_fault(error)}"
    state: dict[str, Any] = found["state"]
    return state
