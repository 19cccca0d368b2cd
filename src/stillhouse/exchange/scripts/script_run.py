"""One run as the scripts left it, and the outcome according to all of its files."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Literal

from stillhouse.errors import RunError
from stillhouse.exchange.scripts import clean
from stillhouse.exchange.scripts.logs import End, Log, Record, epoch_record, read_errors, read_log
from stillhouse.exchange.scripts.scan import Found

FILES = ("status.json", "metrics.json", "logs", "errors")
State = Literal["finished", "failed", "lost", "missing"]
COMPLETED = "completed"
OPEN = "unfinished"
CUT_OFF = "running or cut off when the records were copied"


@dataclass(frozen=True)
class ScriptRun:
    """The files of a run. `problems` lists what could not be read, with the file's name."""

    found: Found
    status: Record | None
    metrics: Record | None
    log: Log | None
    end: End | None
    problems: tuple[str, ...]

    @property
    def config(self) -> Record:
        """Return the recorded settings: in the metrics, else the status, else the log."""
        recorded = (self.metrics or {}).get("config") or (self.status or {}).get("config")
        return recorded or (self.log.config if self.log else None) or {}

    @property
    def seconds(self) -> int | None:
        """Return the duration of its logged call."""
        if self.log is not None and self.log.seconds is not None:
            return self.log.seconds
        return self.end.seconds if self.end else None

    @property
    def records(self) -> list[Record]:
        """Return one record per recorded epoch, in stillhouse's fields."""
        if self.metrics is not None:
            rows = zip(*(self.metrics[name] for name in clean.SERIES), strict=False)
            return [_record(epoch, *row) for epoch, row in enumerate(rows, start=1)]
        return [{**record, "source": "logs"} for record in self.log.epochs] if self.log else []


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run: `epoch` finished epochs; `best` is the best test accuracy in percent of
    an unfinished run.

    `code` names the cause of the end (see `causes`). `earlier` is the attempt before the logged
    one, if there was one. `conflicts` are pairs of statements in its files that cannot both
    describe one attempt.
    """

    state: State
    reason: str = ""
    epoch: int = 0
    code: str = ""
    best: float | None = None
    earlier: Outcome | None = None
    conflicts: tuple[str, ...] = ()


def read_run(found: Found) -> ScriptRun:
    """Read all files of a run's folder."""
    problems = [f"{entry.relative}: {entry.problem}" for entry in found.entries if entry.problem]
    files = {name: _read(found, name, problems) for name in FILES}
    status = _json("status.json", files, problems)
    metrics = _json("metrics.json", files, problems)
    status = clean.status(status, problems) if status is not None else None
    metrics = clean.metrics(metrics, problems) if metrics is not None else None
    log, errors = ((files[name] or b"").decode(errors="replace") for name in ("logs", "errors"))
    read = read_log(log) if log.strip() else None
    problems += read.problems if read else ()
    if read and read.config:
        read = replace(read, config=clean.settings("logs: config", read.config, problems))
    return ScriptRun(found, status, metrics, read, read_errors(errors), tuple(problems))


def outcome(run: ScriptRun) -> Outcome:
    """Return the outcome of a run according to its files.

    A completed run with its metrics stays completed. Otherwise the end of stderr takes precedence
    over the status, which may belong to an earlier attempt: then both are kept and reported as
    conflicting.
    """
    recorded = run.status or {}
    word, epoch, best = recorded.get("status"), _finished(run), _best(run)
    if word == COMPLETED and run.records:
        return _completed(run, epoch)
    if run.end is None:
        return _open_end(run, word, epoch, best)
    if run.end.state == "failed" and epoch and not (run.log and run.log.trained):
        shown = f"status.json says {word} at epoch {recorded.get('epoch')}"
        shown += "" if best is None else f" (best {best:.2f} %)"
        conflict = (
            f"errors:{run.end.line} ends in a traceback before any epoch, {shown}, "
            "as an earlier attempt left it"
        )
        before = Outcome("lost", f"{shown} and there is no record of its end", epoch, OPEN, best)
        return Outcome("failed", run.end.reason, 0, run.end.code, None, before, (conflict,))
    return Outcome(run.end.state, run.end.reason, epoch, run.end.code, best, _before(run))


def _open_end(run: ScriptRun, word: str | None, epoch: int, best: float | None) -> Outcome:
    """Return the outcome of a run whose records do not show how it ended."""
    if word == COMPLETED:
        return Outcome(
            "lost", "its epochs cannot be read, though it completed", epoch, "disk", best
        )
    if not epoch and run.log is None:
        return Outcome("missing", "pending: it never started" if run.status else "")
    if not epoch:
        return Outcome("lost", f"{CUT_OFF}, before its first epoch ended", 0, OPEN)
    return Outcome("lost", CUT_OFF, epoch, OPEN, best, _before(run))


def _finished(run: ScriptRun) -> int:
    """Return the number of finished epochs.

    The scripts count from 0: until the run is completed, `epoch` is the number of the last epoch.
    """
    recorded = run.status or {}
    number = int(recorded.get("epoch", 0))
    any_ = number > 0 or bool(recorded.get("max_acc"))
    counted = number if recorded.get("status") == COMPLETED else number + any_
    return max(
        counted, *(int(record["epoch"]) for record in (run.log.epochs if run.log else ())), 0
    )


def _best(run: ScriptRun) -> float | None:
    """Return the best test accuracy in percent in any of its files."""
    log = run.log
    logged = [record["test"].get("accuracy") for record in log.epochs] if log else []
    recorded = [(run.status or {}).get("max_acc"), log.best_before if log else None, *logged]
    known = [float(accuracy) for accuracy in recorded if accuracy]
    return max(known) if known else None


def _completed(run: ScriptRun, epoch: int) -> Outcome:
    conflicts = []
    if run.end is not None:
        conflicts.append(f"errors:{run.end.line} says '{run.end.reason}', status.json completed")
    if epoch != len(run.records):
        conflicts.append(f"status.json says epoch {epoch}, metrics.json has {len(run.records)}")
    before = _before(run)
    if run.log is not None and run.log.already:
        before = Outcome(
            "finished", "the log of the attempt that trained it was overwritten", epoch
        )
    return Outcome("finished", "", epoch, earlier=before, conflicts=tuple(conflicts))


def _before(run: ScriptRun) -> Outcome | None:
    if run.log is None or run.log.resumed_at is None:
        return None
    reason = "its log was overwritten when it was resumed"
    return Outcome("lost", reason, run.log.resumed_at, OPEN, run.log.best_before)


def _record(epoch: int, loss: Any, accuracy: Any, test_loss: Any, test_accuracy: Any) -> Record:
    train = {"total": float(loss), "accuracy": float(accuracy)}
    test = {"accuracy": float(test_accuracy), "ce": float(test_loss)}
    return {**epoch_record(epoch, train, test), "source": "metrics.json"}


def _read(found: Found, name: str, problems: list[str]) -> bytes | None:
    """Return the content of one of a run's files; None if missing or unreadable."""
    entry = next((entry for entry in found.entries if entry.relative == name), None)
    if entry is None or entry.problem:
        return None
    try:
        return entry.read()
    except RunError as error:
        problems.append(f"{name}: {error.message}")
        return None


def _json(name: str, files: dict[str, bytes | None], problems: list[str]) -> Record | None:
    if (content := files[name]) is None:
        return None
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        problems.append(f"{name}: not readable as JSON ({error})")
        return None
    if isinstance(value, dict):
        return value
    problems.append(f"{name}: expected a JSON object, found {type(value).__name__}")
    return None
