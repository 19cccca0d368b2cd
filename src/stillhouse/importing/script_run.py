"""One run as the scripts left it, and what its files say together."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from stillhouse.importing import clean
from stillhouse.importing.logs import End, Log, Record, epoch_record, read_errors, read_log
from stillhouse.importing.scan import Found

State = Literal["finished", "failed", "lost", "missing"]


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
        """The settings that were recorded: in the metrics, else the status, else the log."""
        told = (self.metrics or {}).get("config") or (self.status or {}).get("config")
        return told or (self.log.config if self.log else None) or {}

    @property
    def records(self) -> list[Record]:
        """One record per epoch that left a trace, in stillhouse's fields."""
        if self.metrics is not None:
            rows = zip(*(self.metrics[name] for name in clean.SERIES), strict=False)
            return [_record(epoch, *row) for epoch, row in enumerate(rows, start=1)]
        return [{**record, "source": "logs"} for record in self.log.epochs] if self.log else []


@dataclass(frozen=True)
class Outcome:
    """What became of a run. `earlier` is the attempt before the logged one, if there was one.

    `conflicts` are the pairs of statements in its files that cannot both be of one attempt.
    """

    state: State
    reason: str
    epoch: int
    earlier: tuple[State, str, int] | None
    conflicts: tuple[str, ...]


def read_run(found: Found) -> ScriptRun:
    """Read whatever a run's folder holds."""
    problems: list[str] = []
    status = _json(found.folder / "status.json", problems)
    metrics = _json(found.folder / "metrics.json", problems)
    status = clean.status(status, problems) if status is not None else None
    metrics = clean.metrics(metrics, problems) if metrics is not None else None
    log, errors = _text(found.folder / "logs"), _text(found.folder / "errors")
    read = read_log(log) if log.strip() else None
    problems += read.problems if read else ()
    if read and read.config:
        read = replace(read, config=clean.settings("logs: config", read.config, problems))
    return ScriptRun(found, status, metrics, read, read_errors(errors), tuple(problems))


def outcome(run: ScriptRun) -> Outcome:
    """What a run's files say together.

    A completed run with its metrics stays completed. Else the end of standard error beats the
    status, which may be an earlier attempt's: then both are kept, and named as conflicting.
    """
    told = run.status or {}
    word, epoch = told.get("status"), int(told.get("epoch", 0))
    if word == "completed" and run.records:
        return _completed(run, epoch)
    if run.end is None and not told and (run.log is None or not run.log.trained):
        if run.log is None:
            return Outcome("missing", "", 0, None, ())
        return Outcome("lost", "it was started and left no other trace", 0, None, ())
    if run.end is None:
        return Outcome("lost", f"its record says {word} and ends there", epoch, _before(run), ())
    if run.end.state == "failed" and epoch and not (run.log and run.log.trained):
        best = told.get("max_acc")
        shown = "" if best is None else f" (best {best:.2f} %)"
        conflict = (
            f"errors:{run.end.line} ends in a traceback before any epoch, status.json says "
            f"{word} at epoch {epoch}{shown}, as an earlier attempt left it"
        )
        before = ("lost", f"status.json says {word}{shown} and nothing says how it ended", epoch)
        return Outcome("failed", run.end.reason, 0, before, (conflict,))  # type: ignore[arg-type]
    return Outcome(run.end.state, run.end.reason, epoch, _before(run), ())


def _completed(run: ScriptRun, epoch: int) -> Outcome:
    conflicts = []
    if run.end is not None:
        conflicts.append(f"errors:{run.end.line} says '{run.end.reason}', status.json completed")
    if epoch != len(run.records):
        conflicts.append(f"status.json says epoch {epoch}, metrics.json has {len(run.records)}")
    before = _before(run)
    if run.log is not None and run.log.already:
        before = ("finished", "the log of the attempt that trained it was overwritten", epoch)
    return Outcome("finished", "", epoch, before, tuple(conflicts))


def _before(run: ScriptRun) -> tuple[State, str, int] | None:
    if run.log is None or run.log.resumed_at is None:
        return None
    return "lost", "its log was overwritten when it was resumed", run.log.resumed_at


def _record(epoch: int, loss: Any, accuracy: Any, test_loss: Any, test_accuracy: Any) -> Record:
    train = {"total": float(loss), "accuracy": float(accuracy)}
    test = {"accuracy": float(test_accuracy), "ce": float(test_loss)}
    return {**epoch_record(epoch, train, test), "source": "metrics.json"}


def _json(path: Path, problems: list[str]) -> Record | None:
    if not path.exists():
        return None
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        problems.append(f"{path.name}: not readable as JSON ({error})")
        return None
    if isinstance(value, dict):
        return value
    problems.append(f"{path.name}: expected a JSON object, found {type(value).__name__}")
    return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
