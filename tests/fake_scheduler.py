"""Stands in for a scheduler where a test needs one to fail at a chosen moment.

The real ones are in `test_slurm.py` and `test_pbs.py`.
"""

from __future__ import annotations

import re
from pathlib import Path

from stillhouse.cluster.scheduler import QueuedJob, QueueError, QueueFull, Scheduler
from stillhouse.cluster.site import Site


def make_site(**changes: object) -> Site:
    fields = {
        "scheduler": "slurm",
        "cap": 4,
        "resources": {"memory_gb": 8, "walltime": "1:00:00"},
        "memory_ceiling_gb": 16,
    }
    return Site.model_validate(fields | changes)


class Dies(BaseException):
    """The submitting process is killed here."""


class FakeScheduler(Scheduler):
    """A queue in memory; `fault` says what goes wrong at the next submission."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.queue: list[QueuedJob] = []
        self.fault = ""
        self.listings = 0
        self.submitted: list[str] = []
        self.cancelled: list[str] = []

    def jobs(self) -> list[QueuedJob]:
        self.listings += 1
        if self.fault == "no listing":
            raise QueueError("the queue could not be listed: Connection refused")
        return [] if self.fault == "empty listing" else list(self.queue)

    def submit(self, script: Path) -> str:
        if self.fault == "die before":
            raise Dies
        if self.fault == "full":
            raise QueueFull("would exceed queue generic's per-user limit (code 38)")
        if self.fault == "refused":
            raise QueueError("Socket timed out (code 1)")
        name = re.findall(r"--job-name=(\S+)", script.read_text())[0]
        id = str(len(self.submitted) + 100)
        self.submitted.append(name)
        self.queue.append(QueuedJob(id, name, "queued"))
        if self.fault == "die after":
            raise Dies
        if self.fault == "lost answer":
            raise QueueError("no answer in 60 s")
        return id

    def cancel(self, id: str) -> None:
        self.cancelled.append(id)
        self.queue = [job for job in self.queue if job.id != id]
