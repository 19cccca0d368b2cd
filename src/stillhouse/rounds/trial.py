"""`stillhouse plan --try`: two batches of every distinct cell, in processes like the workers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from stillhouse.config.resolve import resolve
from stillhouse.errors import RunError, printable, reason_of
from stillhouse.rounds.schedule import cohorts
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.tables import Table
from stillhouse.training.dry_run import Trial, dry_run
from stillhouse.training.reopen import Place

GIB = 2**30
KEPT = 2  # checkpoints of a run in training
COLUMNS = ("Dataset", "Method", "Network", "Teacher", "Runs", "s/step", "GiB", "Problem")


@dataclass(frozen=True)
class Part:
    """One cell of the matrix without its seed: its first unfinished run, and how many are left."""

    cell: Cell
    left: int


def rehearse(
    survey: Survey, workspace: Workspace, place: Place, say: Callable[[str], None]
) -> tuple[Table, bool]:
    """Try every distinct unfinished cell; the table, and whether all of them can be trained.

    A cohort is tried in a process of its own, so that running out of memory ends only that.
    Raises RunError if nothing can be written where the runs go.
    """
    parts = distinct(survey)
    trials: list[tuple[Part, Trial]] = []
    with _scratch(workspace) as scratch:
        for number, group in enumerate(cohorts(part.cell for part in parts.values())):
            say(f"{group[0].config.dataset}: {', '.join(cell.config.method for cell in group)}")
            found = _try(group, place, Path(scratch) / str(number))
            chosen = [parts[cell.config.path] for cell in group]
            trials += zip(chosen, found, strict=True)
    needed = sum(KEPT * trial.bytes * part.left for part, trial in trials)
    free = shutil.disk_usage(workspace.root).free
    notes = [
        "Two batches each: data, teacher, pretraining, training steps, a checkpoint written and "
        "read, evaluation. Runs that share a process were in memory together."
    ]
    fits = needed < free
    if not fits:
        notes.append(
            f"NOT ENOUGH SPACE: checkpoints may need {needed / GIB:.1f} GiB, "
            f"{free / GIB:.1f} GiB are free in {workspace.root}"
        )
    bad = sum(bool(trial.problem) for _, trial in trials)
    verdict = f"{bad} cannot be trained" if bad else "all can be trained"
    title = f"round {survey.round.round}: {len(trials)} distinct cells tried, {verdict}"
    rows = tuple(_row(part, trial) for part, trial in trials)
    spare = ("GiB", "s/step") if bad else ("Problem",)
    table = Table(title, COLUMNS, rows, tuple(notes), spare=spare, empty="every run is done")
    return table, fits and not bad


def distinct(survey: Survey) -> dict[str, Part]:
    """The unfinished cells that differ in more than their seed, by path of their first run.

    A run whose teacher is finished goes before one that still has to wait.
    """
    kinds: dict[str, list[Cell]] = {}
    for cell in survey.cells:
        if cell.state.name != "done":
            kinds.setdefault(cell.config.path.rpartition("/")[0], []).append(cell)
    firsts = [(next((c for c in cells if c.ready), cells[0]), cells) for cells in kinds.values()]
    return {first.config.path: Part(first, len(cells)) for first, cells in firsts}


def _try(group: list[Cell], place: Place, scratch: Path) -> list[Trial]:
    """Try a cohort in a new process; a failure of the process is reported for every run."""
    configs = [resolve(cell.config) for cell in group]
    taught = all(cell.ready for cell in group)
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        try:
            return pool.submit(dry_run, configs, place, taught, scratch).result()
        except BrokenProcessPool:
            problem = "its process was killed, as it is when memory runs out"
        except Exception as error:  # noqa: BLE001 - whatever a worker would die of
            problem = printable(reason_of(error))
    return [Trial(problem)] * len(group)


def _scratch(workspace: Workspace) -> tempfile.TemporaryDirectory[str]:
    """A folder on the file system of the runs. Raises RunError if none can be made."""
    try:
        workspace.root.mkdir(parents=True, exist_ok=True)
        home = workspace.experiments if workspace.experiments.is_dir() else workspace.root
        return tempfile.TemporaryDirectory(prefix=".preflight-", dir=home)
    except OSError as error:
        raise RunError(
            f"nothing can be written in {workspace.root.resolve()} ({error})",
            "make it writable, or give another folder with --root",
        ) from error


def _row(part: Part, trial: Trial) -> tuple[str | int | float | None, ...]:
    run = part.cell.config
    teacher = None
    if run.teacher:
        teacher = f"{run.teacher.model} ({'finished' if part.cell.ready else 'stand-in'})"
    seconds = memory = None
    if not trial.problem:
        seconds, memory = round(trial.seconds, 3), round(trial.memory / GIB, 2)
    return (
        *(run.dataset, run.label, run.model, teacher, part.left),
        *(seconds, memory),
        trial.problem or None,
    )
