"""`reset --unlock`: end by hand the claims of machines that are gone for good. No torch."""

from __future__ import annotations

import time
from collections.abc import Iterable

from stillhouse.runs.claim import ago, alive, holder, release
from stillhouse.runs.folder import Attempt, RunFolder
from stillhouse.tables import Table

RELEASED, REFUSED = "released", "REFUSED: it is alive here; end that process instead"


def unlock(runs: Iterable[RunFolder], title: str) -> Table:
    """Release the claim of every run that looks held from elsewhere; one row each.

    A claim whose process runs on this machine is refused. A released writer that lives after all
    sees it, leaves, and damages nothing.
    """
    rows = [_row(folder, folder.attempts()[-1]) for folder in runs if _held(folder)]
    notes = () if rows else ("no run is held by anyone",)
    return Table(
        title, ("Run", "Attempt", "Holder", "Job", "Heartbeat", "What"), tuple(rows), notes
    )


def refused(table: Table) -> bool:
    """Whether a claim was not released because its process is alive here."""
    return any(row[-1] == REFUSED for row in table.rows)


def _held(folder: RunFolder) -> bool:
    attempts = folder.attempts()
    return bool(attempts) and not folder.result.exists() and alive(attempts[-1]) is not None


def _row(folder: RunFolder, attempt: Attempt) -> tuple[str | int | None, ...]:
    claim = attempt.read_claim()
    writer = holder(claim) if claim else None
    if writer and writer.alive():
        what = REFUSED
    else:
        release(attempt)
        what = RELEASED
    beat = attempt.read_status().get("heartbeat", attempt.path.stat().st_mtime)
    return (
        str(folder.path),
        attempt.number,
        f"process {writer.pid} on {writer.host}" if writer else "unknown",
        claim.get("job") if claim else None,
        ago(time.time() - beat),
        what,
    )
