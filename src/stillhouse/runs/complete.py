"""How a run is completed: one file decides, and whoever comes later can carry on from it.

1. The attempt writes weights, metrics and predictions into its own folder.
2. It creates `result.json`, which names the attempt and holds the hashes. Only one can.
3. The named attempt's files are moved up, and what only resuming needs is dropped.

A process that was suspended anywhere in 1 or 2 and wakes up after a successor has completed the
run cannot create `result.json` any more, and nothing of its own is ever moved up. If the process
dies in 3, the next one to look after the run carries on.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from stillhouse.runs.claim import Claim, alive
from stillhouse.runs.files import sweep, write_once
from stillhouse.runs.folder import Attempt, RunFolder
from stillhouse.runs.records import dump_sealed

KEPT = (
    "metrics.jsonl",
    "final.safetensors",
    "best.safetensors",
    "method.safetensors",
    "predictions.safetensors",
)


def complete(claim: Claim, result: dict[str, Any]) -> bool:
    """Make this attempt the one that completed the run; False if another one was first."""
    return write_once(
        claim.folder.result, dump_sealed({**result, "attempts": claim.attempt.number})
    )


def tidy(folder: RunFolder) -> None:
    """Carry on where a process that is gone left off; safe beside a living one, and twice."""
    sweep(folder.path, folder.path / "attempts")
    attempts = folder.attempts()
    result = folder.completed()
    for attempt in attempts:
        sweep(attempt.path)
        if result and attempt.number == result.get("attempts"):
            _move_up(folder, attempt)
    for attempt in attempts if result else []:
        if not alive(attempt):  # a living one has been overtaken, and tidies when it sees that
            _drop(attempt)


def _move_up(folder: RunFolder, attempt: Attempt) -> None:
    for name in KEPT:
        with suppress(FileNotFoundError):
            os.replace(attempt.path / name, folder.path / name)


def _drop(attempt: Attempt) -> None:
    for path in (attempt.checkpoint, attempt.previous, *(attempt.path / name for name in KEPT)):
        path.unlink(missing_ok=True)
