"""The jobs of a workspace on disk.

experiments/jobs/
    lock                 held by the one submitting pass
    ledger.json          the results of past jobs; site.json: options of the last pass
    00042/
        job.json         the intent, written before the scheduler is called
        script.sh        the submitted script
        id.json          the scheduler's id
        starts.jsonl, ended.json, output.txt    written by the job
        ending.json      how the job ended, as a pass recorded it; the job is closed
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import uuid4

from stillhouse.cluster.jobs import Ending, Gain, Job, Request, Traces
from stillhouse.cluster.ledger import Ledger
from stillhouse.cluster.site import Resources
from stillhouse.errors import ConfigError, RunError
from stillhouse.runs.files import dump_json, read_json, read_lines, write_atomic, write_once

LOCK_SECONDS = 180
LOCK_WAIT_SECONDS = 2
TAIL_BYTES = 4000


class Locked(RunError):
    """Another pass is submitting."""


@dataclass(frozen=True)
class Store:
    """The folder `jobs`. Only the holder of `lock` writes here; each job has its own folder."""

    path: Path

    @contextmanager
    def lock(self) -> Iterator[Callable[[], None]]:
        """Hold the submit lock; yields a function that extends it, or raises Locked if it was lost.

        A pass that was killed leaves its lock; other passes break it after three minutes.
        """
        try:
            from flufl.lock import Lock, NotLockedError, TimeOutError
        except ImportError as error:
            raise ConfigError(
                "the commands for clusters need the package flufl.lock",
                "pip install stillhouse[cluster]",
            ) from error
        self.path.mkdir(parents=True, exist_ok=True)
        lock = Lock(str(self.path / "lock"), lifetime=LOCK_SECONDS)

        def prolong() -> None:
            try:
                lock.refresh()
            except NotLockedError as error:
                raise Locked("the submit lock was lost: this pass was too slow") from error

        try:
            lock.lock(timeout=LOCK_WAIT_SECONDS)
        except TimeOutError as error:
            raise Locked("another `cluster submit` is running in this workspace") from error
        try:
            yield prolong
        finally:
            lock.unlock(unconditionally=True)

    def ledger(self) -> Ledger:
        """Return the ledger."""
        path = self.path / "ledger.json"
        return Ledger.load(read_json(path)) if path.exists() else Ledger()

    def save(self, ledger: Ledger) -> None:
        """Replace the ledger."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path / "ledger.json", dump_json(ledger.dump()))

    def note(self, **facts: Any) -> None:
        """Record the options of this pass, for `status` and the next pass."""
        write_atomic(self.path / "site.json", dump_json({**facts, "time": time.time()}))

    def last_options(self) -> dict[str, Any] | None:
        """Return the options of the last pass, if there was one."""
        path = self.path / "site.json"
        return read_json(path) if path.exists() else None

    def folder(self, number: int) -> Path:
        """Return a job's folder."""
        return self.path / f"{number:05d}"

    def numbers(self) -> list[int]:
        """Return all jobs, oldest first."""
        return sorted(int(path.name) for path in self.path.glob("[0-9]*") if path.name.isdigit())

    def jobs(self, ledger: Ledger) -> list[Job]:
        """Return the jobs that are not folded into the ledger yet."""
        return [self.job(number) for number in self.numbers() if not ledger.contains(number)]

    def job(self, number: int) -> Job:
        """Return a job's intent, with its id if it has one."""
        folder = self.folder(number)
        fields = read_json(folder / "job.json")
        given = folder / "id.json"
        return Job(
            number=number,
            name=fields["name"],
            request=Request(
                tuple(tuple(group) for group in fields["groups"]), Resources(**fields["resources"])
            ),
            since={path: (epoch, tried) for path, (epoch, tried) in fields["since"].items()},
            time=fields["time"],
            id=read_json(given)["id"] if given.exists() else None,
        )

    def intend(
        self,
        request: Request,
        since: dict[str, tuple[int, int]],
        script: Callable[[str, Path], str],
    ) -> Job:
        """Record a job before it is submitted. Raises Locked if its number is taken."""
        number = max(self.numbers(), default=0) + 1
        job = Job(number, self.name(number), request, since, time.time())
        new = self.path / f".new-{uuid4().hex}"
        new.mkdir(parents=True)
        fields = {
            "name": job.name,
            "groups": request.groups,
            "resources": request.resources.model_dump(),
            "since": since,
            "time": job.time,
        }
        write_atomic(new / "script.sh", script(job.name, self.folder(number)).encode())
        write_atomic(new / "job.json", dump_json(fields))
        try:
            new.rename(self.folder(number))
        except OSError as error:
            shutil.rmtree(new)
            raise Locked("another `cluster submit` is running in this workspace") from error
        return job

    def name(self, number: int) -> str:
        """Return a name that every scheduler accepts and no other workspace uses: `kd00042-1f3a9c`.

        It starts with a letter and has at most 15 characters and no slash.
        """
        place = sha256(str(self.path.resolve()).encode()).hexdigest()[:6]
        return f"kd{number:05d}-{place}"

    def identify(self, job: Job, id: str) -> None:
        """Record the scheduler's id."""
        write_once(self.folder(job.number) / "id.json", dump_json({"id": id, "time": time.time()}))

    def traces(self, job: Job, heard: float) -> Traces:
        """Return what the job itself recorded; `heard` is the last heartbeat of its runs."""
        folder = self.folder(job.number)
        starts = folder / "starts.jsonl"
        if not starts.exists():
            return Traces()
        begun = read_lines(starts)[-1]
        output = folder / "output.txt"
        tail = _tail(output) if output.exists() else ""
        if (folder / "ended.json").exists():
            ended = read_json(folder / "ended.json")
            return Traces(True, ended["exit"], begun["node"], ended["seconds"], tail)
        return Traces(True, None, begun["node"], max(0.0, heard - begun["time"]), tail)

    def close(self, job: Job, ending: Ending) -> None:
        """Record how a job ended; if its script starts later, it exits at once."""
        fields = {"id": job.id, "name": job.name, **asdict(ending), "closed": time.time()}
        write_once(self.folder(job.number) / "ending.json", dump_json(fields))

    def ending(self, job: Job) -> Ending | None:
        """Return how a closed job ended, as recorded."""
        path = self.folder(job.number) / "ending.json"
        if not path.exists():
            return None
        fields = read_json(path)
        runs = {name: Gain(**gain) for name, gain in fields["runs"].items()}
        known = {name: fields[name] for name in ("outcome", "reason", "exit", "node", "seconds")}
        return Ending(**known, runs=runs)


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        return file.read().decode(errors="replace")
