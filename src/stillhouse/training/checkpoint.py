"""Resumable state in one file, whose first 32 bytes are the SHA-256 of the rest.

Only tensors and plain values are stored, and they are loaded with `weights_only=True`.
"""

from __future__ import annotations

import io
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from stillhouse.runs.files import write_atomic
from stillhouse.runs.folder import Attempt, RunFolder

DIGEST_BYTES = 32


def save(attempt: Attempt, state: dict[str, Any]) -> None:
    """Write the newest checkpoint and keep the one before it."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    payload = buffer.getvalue()
    if attempt.checkpoint.exists():
        os.replace(attempt.checkpoint, attempt.previous)
    write_atomic(attempt.checkpoint, sha256(payload).digest() + payload)


def load_newest(folder: RunFolder) -> tuple[dict[str, Any] | None, list[str]]:
    """The newest intact checkpoint over all attempts, and a warning for each damaged one.

    None if there is no intact checkpoint: the run then starts from its beginning.
    """
    warnings: list[str] = []
    for attempt in reversed(folder.attempts()):
        for path in (attempt.checkpoint, attempt.previous):
            if not path.exists():
                continue
            state = _read(path)
            if state is not None:
                return state, warnings
            warnings.append(f"{path} is damaged; falling back to the checkpoint before it")
    return None, warnings


def discard(folder: RunFolder, before: int | None = None) -> None:
    """Remove the checkpoints of all attempts, or of those numbered below `before`."""
    for attempt in folder.attempts():
        if before is None or attempt.number < before:
            attempt.checkpoint.unlink(missing_ok=True)
            attempt.previous.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any] | None:
    data = path.read_bytes()
    digest, payload = data[:DIGEST_BYTES], data[DIGEST_BYTES:]
    if sha256(payload).digest() != digest:
        return None
    state: dict[str, Any] = torch.load(io.BytesIO(payload), weights_only=True, map_location="cpu")
    return state
