"""One of many processes that start the same runs; driven over its standard streams, a line each.

It does what a worker does with a run (see `training.cohort` and `training.recorder`), without the
training: claim it, write into its attempt, complete it, tidy. Told to, it stops itself (SIGSTOP)
at a given step, as a machine that falls asleep does.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

from stillhouse.runs import claim as claims
from stillhouse.runs.claim import Busy, Claim, Superseded
from stillhouse.runs.complete import KEPT, complete, tidy
from stillhouse.runs.folder import RunFolder

STEPS = ("claimed", "half written", "all written")


def contend(order: dict[str, Any]) -> dict[str, Any]:
    """Try to train a run; what came of it."""
    folder = RunFolder(Path(order["folder"]))
    if folder.completed():
        return {"what": "done"}
    try:
        claim = Claim.take(folder)
    except Busy:
        return {"what": "busy"}
    begun = time.monotonic()
    what = "done" if folder.completed() else write(claim, order)
    ended = time.monotonic()
    claim.write_status("finished" if what in ("done", "completed") else "stopped")
    tidy(folder)
    return {"what": what, "attempt": claim.attempt.number, "begun": begun, "ended": ended}


def write(claim: Claim, order: dict[str, Any]) -> str:
    """Write everything that is kept, then try to complete."""
    claim.write_status("running")
    sleep_at(order, "claimed")
    try:
        for name in KEPT[: len(KEPT) // 2]:
            put(claim, name)
        sleep_at(order, "half written")
        claim.check()
        for name in KEPT[len(KEPT) // 2 :]:
            put(claim, name)
    except Superseded:
        return "superseded"
    sleep_at(order, "all written")
    return "completed" if complete(claim, order["result"]) else "late"


def put(claim: Claim, name: str) -> None:
    """A file that tells which attempt wrote it."""
    (claim.attempt.path / name).write_text(str(claim.attempt.number))


def sleep_at(order: dict[str, Any], step: str) -> None:
    """Fall asleep if this is the step for it."""
    if order["sleep"] == step:
        os.kill(os.getpid(), signal.SIGSTOP)


def main() -> None:
    """Pose as a host of one's own if given a name; take orders until there are no more."""
    claims.EXPIRY_SECONDS = float(sys.argv[1])
    if len(sys.argv) > 2:
        name = sys.argv[2]
        socket.gethostname = lambda: name
    for line in sys.stdin:
        sys.stdout.write(json.dumps(contend(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
