"""What a person sees while a round trains: bars on a terminal, one line per epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from stillhouse.errors import RunError, printable_lines
from stillhouse.rounds.survey import Cell, Survey

SHARE_SECONDS = 10.0


class ShareProgress:
    """Logs at most every `SHARE_SECONDS` which share of the work is done and how long it takes."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.log = log
        self._started = self._logged = time.monotonic()

    def __call__(self, what: str, done: float, total: float) -> None:
        """Take note of work done, in any unit."""
        now = time.monotonic()
        if now - self._logged < SHARE_SECONDS or not 0 < done <= total:
            return
        self._logged = now
        left = timedelta(seconds=round((now - self._started) / done * (total - done)))
        self.log(f"{what}: {100 * done / total:.0f} % of all, about {left} left")


class Progress:
    """Follows the runs' own records, so it shows what is on disk and nothing else."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = time.monotonic()
        self._epochs: dict[str, int] = {}
        self._gained = 0
        self._reported: set[tuple[str, int]] = set()
        self._tasks: dict[str, TaskID] = {}
        self._bars: Bars | None = None
        if console.is_terminal and not console.is_dumb_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bars = Bars(*columns, TextColumn("{task.fields[note]}"), console=console)

    def __enter__(self) -> Progress:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bars:
            self._bars.stop()

    def say(self, text: str) -> None:
        """Print a message above the bars."""
        self.console.print(printable_lines(text), markup=False, highlight=False, soft_wrap=True)

    def update(self, seen: Survey) -> None:
        """Show what has changed since the last call."""
        left = sum(cell.left for cell in seen.cells)
        total = sum(cell.config.training.epochs for cell in seen.cells)
        if not self._epochs:
            # An earlier command's failures were told by it, and may be about to be tried again.
            self._reported = {_attempt(cell) for cell in seen.cells if cell.state.name == "failed"}
        # A run that begins again loses epochs; those that are trained count all the same.
        befores = [(cell, self._epochs.get(cell.config.path)) for cell in seen.cells]
        self._gained += sum(max(0, _epoch(c) - n) for c, n in befores if n is not None)
        remaining = self._remaining(left)
        for cell in seen.cells:
            self._update_cell(cell, remaining)
        if self._bars:
            self._bar("whole round", total - left, total, remaining)

    def _update_cell(self, cell: Cell, remaining: str) -> None:
        path, epoch = cell.config.path, _epoch(cell)
        before = self._epochs.get(path)
        self._epochs[path] = epoch
        if self._bars:
            if cell.state.name == "running":
                self._bar(path, epoch, cell.config.training.epochs, "")
            elif path in self._tasks:
                self._bars.remove_task(self._tasks.pop(path))
        elif before is not None and epoch > before:
            try:
                records = cell.folder.records()[before:epoch]
            except RunError as error:
                self.say(f"{path}: {error}")
                return
            for record in records:
                of = f"{record['epoch']}/{cell.config.training.epochs}"
                score = f"test {record['test']['accuracy']:.2f} %"
                self.say(f"{path}: epoch {of} {score} {remaining}".rstrip())
        if cell.state.name in ("failed", "unreadable") and _attempt(cell) not in self._reported:
            self._reported.add(_attempt(cell))
            self.say(f"{path}: {cell.state.name.upper()}: {cell.state.reason}")

    def _bar(self, name: str, done: int, total: int, note: str) -> None:
        assert self._bars is not None
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, note=note)
        self._bars.update(self._tasks[name], completed=done, note=note)

    def _remaining(self, left: int) -> str:
        if self._gained == 0 or left == 0:
            return ""
        seconds = (time.monotonic() - self._started) / self._gained * left
        return f"(about {timedelta(seconds=round(seconds))} left)"


def _epoch(cell: Cell) -> int:
    return cell.config.training.epochs - cell.left


def _attempt(cell: Cell) -> tuple[str, int]:
    return cell.config.path, cell.state.attempts
