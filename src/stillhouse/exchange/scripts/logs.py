"""Parse what the scripts printed: `logs` (stdout) and `errors` (stderr). Pure text."""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from stillhouse.causes import OUT_OF_MEMORY, cause_of
from stillhouse.errors import printable

Record = dict[str, Any]
MAX_EPOCHS, MAX_SECONDS = 10_000, 10**9
MAX_LINE, MAX_SHOWN, MAX_PROBLEMS = 10_000, 300, 20
EPOCH = re.compile(r"Epoch (\d+)$")
PART = re.compile(r"(TRAIN|TEST) \| Loss: (\S+) \| Acc: (\S+) \|")
LIMIT = re.compile(r"walltime (\d{1,9}) exceeded")
KILLED = OUT_OF_MEMORY | {"walltime", "killed"}
TRACEBACK = "Traceback (most recent call last):"


@dataclass(frozen=True)
class Log:
    """One call of the training script.

    `started` is local time in ISO form and `zone` the name of its time zone as printed. `seconds`
    is the time until the script ended by itself. `resumed_at` is the epoch (from 0) at which it
    resumed, `best_before` the best test accuracy until then. `already` states whether it found the
    run completed and did nothing. `epochs` has one record per finished epoch; `problems` are lines
    like those of an epoch that cannot be parsed.
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
        """Return whether this call began to train."""
        return bool(self.epochs) or self.resumed_at is not None


@dataclass(frozen=True)
class End:
    """How a run ended according to stderr: a `failed` script or a killed one (`lost`).

    `seconds` is how long it had run, if the scheduler printed it; `code` names the cause.
    """

    state: Literal["failed", "lost"]
    reason: str
    line: int
    seconds: int | None = None

    @property
    def code(self) -> str:
        """Return the cause that the line names (see `causes`)."""
        return cause_of(self.reason) or ("crash" if self.state == "failed" else "killed")


def read_log(text: str) -> Log:
    """Parse `logs`; missing values are None, an unfinished last epoch is left out.

    A line that matches a field but cannot be parsed is a problem, and the next one is tried.
    """
    lines = [line.strip()[:MAX_LINE] for line in text.splitlines()]
    problems: list[str] = []
    found = {name: _first(name, lines, problems) for name in FIELDS}
    epochs = _epochs(lines, problems)
    if len(problems) > MAX_PROBLEMS:
        more = len(problems) - MAX_PROBLEMS
        problems[MAX_PROBLEMS:] = [f"logs: {more:,} more lines that cannot be parsed"]
    started, zone = found.pop("started") or (None, None)
    return Log(
        **{**found, "already": bool(found["already"]), "completed": bool(found["completed"])},
        started=started,
        zone=zone,
        epochs=epochs,
        problems=tuple(problems),
    )


def read_errors(text: str) -> End | None:
    """Return how a run ended by its `errors`: the last traceback, or the last line."""
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith(TRACEBACK)]
    if starts:
        for number, line in enumerate(lines[starts[-1] + 1 :], start=starts[-1] + 2):
            if line and not line[0].isspace():
                return End("failed", _short(line), number)
        return End("failed", "an incomplete traceback", starts[-1] + 1)
    written = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if written:
        number, line = written[-1][0], printable(written[-1][1][-MAX_SHOWN:]).strip(" =>")
        if cause_of(line) in KILLED:
            limit = LIMIT.search(line)
            return End("lost", line, number, int(limit[1]) if limit else None)
    return None


def epoch_record(epoch: int, train: dict[str, float], test: dict[str, float]) -> Record:
    """Return an epoch's record; non-finite numbers, which JSON lacks, are listed instead."""
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


def _short(line: str) -> str:
    """Return a line for display: without control characters, and shortened."""
    return printable(line[:MAX_LINE])[:MAX_SHOWN]


def _date(found: re.Match[str]) -> tuple[str, str]:
    day, zone, year = found.groups()
    return datetime.strptime(f"{day} {year}", "%b %d %H:%M:%S %Y").isoformat(), zone


def _up_to(highest: int) -> Callable[[re.Match[str]], int]:
    def convert(found: re.Match[str]) -> int:
        if (number := int(found[1])) > highest:
            raise ValueError(f"expected at most {highest:,}")
        return number

    return convert


def _percentage(found: re.Match[str]) -> float:
    if not 0 <= (number := float(found[1])) <= 100:
        raise ValueError("expected 0 to 100")
    return number


def _settings(found: re.Match[str]) -> Record:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        value = ast.literal_eval(found[1][: found[1].rindex("}") + 1])
    if not isinstance(value, dict):
        raise ValueError("expected a dictionary")
    return value


FIELDS: dict[str, tuple[str, str, Callable[[re.Match[str]], Any]]] = {
    "started": (
        r"[A-Z][a-z]{2} ([A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d) (\S+) (\d{4})$",
        "a date",
        _date,
    ),
    "command": (r"Running (.*)", "a command", lambda found: found[1]),
    "config": (r"(\{'.*)", "a dictionary of settings", _settings),
    "resumed_at": (
        r"Resuming from epoch (\d+)",
        f"an epoch up to {MAX_EPOCHS:,}",
        _up_to(MAX_EPOCHS),
    ),
    "best_before": (r"Resuming from epoch \d+, max_acc=([^%]*)%", "a percentage", _percentage),
    "already": (r"Training already completed", "", bool),
    "completed": (r"Training completed!", "", bool),
    "seconds": (
        r"Total execution time: (\d+) seconds",
        f"a number of seconds up to {MAX_SECONDS:,}",
        _up_to(MAX_SECONDS),
    ),
}
"""For every field of Log in a line: the line's pattern, its expected content, its value."""


def _first(field: str, lines: list[str], problems: list[str]) -> Any:
    """Return the value on the first line of a field that can be parsed, else None."""
    form, expected, convert = FIELDS[field]
    pattern = re.compile(form)
    for number, line in enumerate(lines, start=1):
        if found := pattern.match(line):
            try:
                return convert(found)
            except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
                problems.append(f"logs:{number}: not {expected}: {_short(line)}")
    return None


def _epochs(lines: list[str], problems: list[str]) -> tuple[Record, ...]:
    records: list[Record] = []
    epoch, train = None, None
    for number, line in enumerate(lines, start=1):
        if found := EPOCH.match(line):
            epoch, train = None, None
            try:
                epoch = _up_to(MAX_EPOCHS - 1)(found)
            except ValueError:
                problems.append(f"logs:{number}: not an epoch up to {MAX_EPOCHS:,}: {_short(line)}")
        elif epoch is not None and (part := PART.match(line)):
            try:
                loss, accuracy = float(part[2]), float(part[3])
            except ValueError:
                accuracy = -1.0
            if not 0 <= accuracy <= 100:
                problems.append(f"logs:{number}: not a loss and an accuracy: {_short(line)}")
                continue
            if part[1] == "TRAIN":
                train = {"total": loss, "accuracy": accuracy}
            elif train is not None:
                test = {"accuracy": accuracy, "ce": loss}
                records.append(epoch_record(epoch + 1, train, test))
                epoch = None
    if len(records) > MAX_EPOCHS:
        problems.insert(0, f"logs: more than {MAX_EPOCHS:,} epochs: none is used")
        return ()
    return tuple(records)
