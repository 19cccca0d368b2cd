"""Complete a run: one file decides, and any later process can finish the rest.

1. The attempt writes weights, metrics and predictions into its own folder.
2. It creates `result.json`, which names the attempt and holds the hashes. Only one attempt can.
3. The files of the named attempt are moved up, and files needed only for resuming are deleted.

A process that was suspended in 1 or 2 and wakes up after a successor has completed the run cannot
create `result.json`, and its files are never moved up. If the process is killed in 3, the next
process that opens the run continues.
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
    "ema.safetensors",
    "method.safetensors",
    "predictions.safetensors",
)


def complete(claim: Claim, result: dict[str, Any]) -> bool:
    """Make this attempt the one that completed the run; False if another one was first."""
    return write_once(
        claim.folder.result, dump_sealed({**result, "attempts": claim.attempt.number})
    )


def tidy(folder: RunFolder) -> None:
    """Finish what a killed process left; safe beside a running process, and repeatable."""
    sweep(folder.path, folder.path / "attempts")
    attempts = folder.attempts()
    result = folder.completed()
    for attempt in attempts:
        sweep(attempt.path)
        if result and attempt.number == result.get("attempts"):
            _move_up(folder, attempt)
    for attempt in attempts if result else []:
        if not alive(attempt):  # a running one tidies when it detects its successor
            _drop(attempt)


def _move_up(folder: RunFolder, attempt: Attempt) -> None:
    for name in KEPT:
        with suppress(FileNotFoundError):
            os.replace(attempt.path / name, folder.path / name)


def _drop(attempt: Attempt) -> None:
    for path in (attempt.checkpoint, attempt.previous, *(attempt.path / name for name in KEPT)):
        path.unlink(missing_ok=True)
