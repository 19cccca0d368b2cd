"""What the scripts printed: `logs` (standard output) and `errors` (standard error). Pure text."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from stillhouse.causes import OUT_OF_MEMORY, cause_of

Record = dict[str, Any]
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DATE = re.compile(r"^[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d\d:\d\d:\d\d) (\S+) (\d{4})$")
EPOCH = re.compile(r"^Epoch (\d+)$")
PART = re.compile(r"^(TRAIN|TEST) \| Loss: (\S+) \| Acc: (\S+) \|")
RESUMED = re.compile(r"^Resuming from epoch (\d+)")
RESUMED_BEST = re.compile(r"^Resuming from epoch \d+, max_acc=([\d.]+)%")
SECONDS = re.compile(r"^Total execution time: (\d+) seconds")
LIMIT = re.compile(r"walltime (\d+) exceeded")
KILLED = OUT_OF_MEMORY | {"walltime", "killed"}
TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True)
class Log:
    """One call of the training script.

    `started` is local time in ISO form and `zone` the name of its time zone as printed;
    `seconds` the time until the script ended by itself; `resumed_at` the epoch (from 0) it went
    on with and `best_before` the best test accuracy until then; `already` whether it found the
    run completed and did nothing; `epochs` one record per finished epoch; `problems` the lines
    that look like an epoch's but cannot be read.
    """

    started: str | None
    zone: str | None
    command: str | None
    config: Record | None
    resumed_at: int | None
    best_before: float | None
    already: bool
    completed: bool
    seconds: int | None
    epochs: tuple[Record, ...]
    problems: tuple[str, ...]

    @property
    def trained(self) -> bool:
        """Whether this call began to train."""
        return bool(self.epochs) or self.resumed_at is not None


@dataclass(frozen=True)
class End:
    """How standard error says a run ended: a `failed` script or one that was killed (`lost`).

    `seconds` is how long it had run, where the scheduler says so; `code` names the cause.
    """

    state: Literal["failed", "lost"]
    reason: str
    line: int
    seconds: int | None = None

    @property
    def code(self) -> str:
        """The cause that the line names (see `causes`)."""
        return cause_of(self.reason) or ("crash" if self.state == "failed" else "killed")


def read_log(text: str) -> Log:
    """Read `logs`; what is missing is None, an unfinished last epoch is left out."""
    lines = [line.strip() for line in text.splitlines()]
    started, zone = _date(lines)
    epochs, problems = _epochs(lines)
    command = next((line[8:] for line in lines if line.startswith("Running ")), None)
    resumed, best = _first(RESUMED, lines), _first(RESUMED_BEST, lines)
    seconds = _first(SECONDS, lines)
    return Log(
        started=started,
        zone=zone,
        command=command,
        config=_config(lines),
        resumed_at=None if resumed is None else int(resumed),
        best_before=None if best is None else float(best),
        already=any(line.startswith("Training already completed") for line in lines),
        completed=any(line.startswith("Training completed!") for line in lines),
        seconds=None if seconds is None else int(seconds),
        epochs=epochs,
        problems=problems,
    )


def read_errors(text: str) -> End | None:
    """How a run ended by its `errors`, if they say so: the last traceback, or the last line."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(TRACEBACK)]
    if starts:
        for number, line in enumerate(lines[starts[-1] + 1 :], start=starts[-1] + 2):
            if line and not line[0].isspace():
                return End("failed", line, number)
        return End("failed", "a traceback that breaks off", starts[-1] + 1)
    written = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if written and cause_of(written[-1][1]) in KILLED:
        limit = LIMIT.search(written[-1][1])
        seconds = int(limit[1]) if limit else None
        return End("lost", written[-1][1].strip(" =>"), written[-1][0], seconds)
    return None


def epoch_record(epoch: int, train: dict[str, float], test: dict[str, float]) -> Record:
    """An epoch's record; numbers that are not finite, which JSON has not, are named instead."""
    parts = {"train": train, "test": test}
    lost = [
        f"{part}.{name}"
        for part, values in parts.items()
        for name, value in values.items()
        if not math.isfinite(value)
    ]
    kept = {
        part: {name: value for name, value in values.items() if math.isfinite(value)}
        for part, values in parts.items()
    }
    return {"epoch": epoch, **kept, **({"not_finite": lost} if lost else {})}


def _date(lines: list[str]) -> tuple[str | None, str | None]:
    for line in lines:
        if found := DATE.match(line):
            month, day, clock, zone, year = found.groups()
            if month in MONTHS:
                return f"{year}-{MONTHS.index(month) + 1:02d}-{int(day):02d}T{clock}", zone
    return None, None


def _config(lines: list[str]) -> Record | None:
    for line in lines:
        if line.startswith("{'"):
            try:
                found = ast.literal_eval(line[: line.rindex("}") + 1])
            except (ValueError, SyntaxError):
                continue
            if isinstance(found, dict):
                return found
    return None


def _epochs(lines: list[str]) -> tuple[tuple[Record, ...], tuple[str, ...]]:
    records: list[Record] = []
    problems: list[str] = []
    epoch, train = None, None
    for line_number, line in enumerate(lines, start=1):
        if found := EPOCH.match(line):
            epoch, train = int(found[1]), None
        elif epoch is not None and (part := PART.match(line)):
            try:
                loss, accuracy = float(part[2]), float(part[3])
            except ValueError:
                accuracy = -1.0
            if not 0 <= accuracy <= 100:
                problems.append(f"logs:{line_number}: not a loss and an accuracy: {line}")
                continue
            if part[1] == "TRAIN":
                train = {"total": loss, "accuracy": accuracy}
            elif train is not None:
                test = {"accuracy": accuracy, "ce": loss}
                records.append(epoch_record(epoch + 1, train, test))
                epoch = None
    return tuple(records), tuple(problems)


def _first(pattern: re.Pattern[str], lines: list[str]) -> str | None:
    return next((found[1] for line in lines if (found := pattern.match(line))), None)
