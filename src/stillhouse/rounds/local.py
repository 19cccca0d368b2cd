"""Running a round on this machine: one worker process per cohort, teachers first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import FrameType
from typing import IO, Protocol

from stillhouse.config.identity import identity_of_all
from stillhouse.errors import StillhouseError
from stillhouse.rounds.schedule import cohorts, divide, ready_groups
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.process import stop_signals

POLL_SECONDS = 0.5
LOOKING = 0.02  # the share of a core, at most, that goes into looking at the runs
TRIES = 2
FULL = ", as by a kernel whose memory is full"


class Progress(Protocol):
    """Where a round's progress is shown."""

    def update(self, survey: Survey) -> None:
        """Show how far the round is."""

    def say(self, text: str) -> None:
        """Show a line."""


@dataclass
class Worker:
    """A running process, the runs it trains, and where its complaints go."""

    process: subprocess.Popen[bytes]
    cells: list[Cell]
    complaints: IO[bytes]
    slot: int


@dataclass
class Local:
    """Keeps `jobs` workers busy until nothing is left that can be trained.

    `look` surveys the round; `command` makes a worker's command line for some runs. Workers take
    `gpus` in turn, so that with more jobs than GPUs some share one. What another
    command is training is waited for, and taken over should that one end before.
    """

    look: Callable[[], Survey]
    command: Callable[[list[Cell]], list[str]]
    jobs: int
    progress: Progress
    gpus: Sequence[str] = ()
    workers: list[Worker] = field(default_factory=list)
    tries: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    part: dict[str, int] = field(default_factory=dict)
    waiting: bool = False
    stopping: bool = False
    spent: float = 0.0  # processor seconds of the last look

    def run(self) -> Survey:
        """Train what is missing; a signal stops the workers cleanly. Returns the last survey.

        A StillhouseError of `look` ends them too, and is raised once they have gone.
        """
        handlers = {number: signal.signal(number, self._stop) for number in stop_signals()}
        try:
            survey = self.look()
            self.before = {cell.config.path: cell.state.attempts for cell in survey.cells}
            unfinished = [cell for cell in survey.cells if cell.state.name != "done"]
            for number, part in enumerate(divide(cohorts(unfinished), self.jobs)):
                self.part |= dict.fromkeys((cell.config.path for cell in part), number)
            while self._launch(survey) or self.workers or self._waits(survey):
                self._rest()
                self._reap()
                began = time.process_time()
                survey = self.look()
                self.progress.update(survey)
                self.spent = time.process_time() - began
        except StillhouseError:
            self._stop(signal.SIGTERM, None)
            for worker in self.workers:
                worker.process.wait()
            self._reap()
            raise
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return survey

    def _rest(self) -> None:
        """Sleep until it is time for the next look, or a worker has ended."""
        end = time.monotonic() + self.spent / LOOKING
        time.sleep(POLL_SECONDS)
        while time.monotonic() < end and all(w.process.poll() is None for w in self.workers):
            time.sleep(POLL_SECONDS)

    def _launch(self, survey: Survey) -> bool:
        """Start workers on free slots; whether any was started."""
        if self.stopping:
            return False
        busy = {cell.config.path for worker in self.workers for cell in worker.cells}
        left = [cell for cell in survey.cells if self._wanted(cell, busy)]
        queue = [part for group in ready_groups(left) for part in self._parts(group)]
        free = sorted(set(range(self.jobs)) - {worker.slot for worker in self.workers})
        for slot, cells in zip(free, queue, strict=False):
            self._start(slot, cells)
        return bool(free and queue)

    def _parts(self, group: list[Cell]) -> list[list[Cell]]:
        """Return the cells of a group as `divide` assigned them to processes at the beginning."""
        parts: dict[int | None, list[Cell]] = {}
        for cell in group:
            parts.setdefault(self.part.get(cell.config.path), []).append(cell)
        return list(parts.values())

    def _wanted(self, cell: Cell, busy: set[str]) -> bool:
        path = cell.config.path
        if path in busy or cell.state.name in ("done", "running", "unreadable"):
            return False
        tried = self.tries.get(path, 0)
        if cell.state.name == "failed":  # tried again if it failed before this command began
            return tried == 0 and cell.state.attempts == self.before[path]
        return tried == 0 or (tried < TRIES and cell.state.name in ("lost", "missing"))

    def _waits(self, survey: Survey) -> bool:
        """Return whether other processes train the remaining runs; announced once."""
        held = [cell for cell in survey.cells if cell.state.name == "running"]
        if held and not self.stopping and not self.waiting:
            self.progress.say(
                f"{len(held)} runs are held by others, as {held[0].config.path} by "
                f"{held[0].state.reason}: waiting for them (Ctrl-C leaves them alone; if their "
                "machine is gone for good: stillhouse reset --unlock)"
            )
        self.waiting = bool(held)
        return self.waiting and not self.stopping

    def _start(self, slot: int, cells: list[Cell]) -> None:
        variables = os.environ | {"PYTHONIOENCODING": "utf-8"}
        if self.gpus:
            variables["CUDA_VISIBLE_DEVICES"] = self.gpus[slot % len(self.gpus)]
        complaints = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the worker is reaped
        process = subprocess.Popen(
            self.command(cells),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env=variables,
        )
        for cell in cells:
            self.tries[cell.config.path] = self.tries.get(cell.config.path, 0) + 1
        self.workers.append(Worker(process, cells, complaints, slot))
        if self.stopping:  # the signal came before this worker was listed
            process.terminate()

    def _reap(self) -> None:
        for worker in [w for w in self.workers if w.process.poll() is not None]:
            self.workers.remove(worker)
            worker.complaints.seek(0)
            if text := worker.complaints.read().decode(errors="replace").strip():
                self.progress.say(text)
            worker.complaints.close()
            if (code := worker.process.returncode) < 0 and not self.stopping:
                name = signal.Signals(-code).name
                hint = FULL if name == "SIGKILL" else ""
                self.progress.say(
                    f"a worker with {len(worker.cells)} runs was ended by {name}{hint}"
                )

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopping = True
        for worker in self.workers:
            worker.process.terminate()


def visible_gpus(device: str, count: int, variables: Mapping[str, str]) -> list[str]:
    """What to name to CUDA, one each, the GPUs that workers share; none for a device by number.

    `count` are those that torch finds, which $CUDA_VISIBLE_DEVICES may limit and number anew.
    """
    if device not in ("auto", "cuda"):
        return []
    named = [name.strip() for name in variables.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    return [name for name in named if name][:count] or [str(number) for number in range(count)]


def worker_command(
    file: Path,
    root: Path,
    data_root: Path,
    device: str,
    keep_going: bool = False,
    profiles: Path | None = None,
    share: int = 1,
) -> Callable[[list[Cell]], list[str]]:
    """The command line that trains some runs of a round, which a person could type as well.

    Each worker writes where its time went to a file in the folder `profiles`, if one is given.
    `share` workers use one GPU.
    """
    numbers = count()

    def command(cells: list[Cell]) -> list[str]:
        runs = [cell.config.path for cell in cells]
        meant = identity_of_all(cell.config for cell in cells)
        options = ["--root", str(root), "--data-root", str(data_root), "--device", device]
        options += ["--identity", meant]
        options += ["--keep-going"] if keep_going else []
        options += ["--share", str(share)] if share > 1 else []
        options += ["--profile", str(profiles / f"{next(numbers)}.json")] if profiles else []
        start = [sys.executable, "-P", "-m", "stillhouse", "train", str(file), *runs]
        return [*start, *options, "--parent", str(os.getpid())]

    return command
