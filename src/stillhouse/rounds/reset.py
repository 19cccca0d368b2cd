"""Move runs aside, so that they are trained anew, and back. Imports no torch.

A run that is reset lies in `experiments/.trash/TIME/` under its own path. `reset.json` there is
written before anything is moved and says which runs were moved and why.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stillhouse.config.expand import expand
from stillhouse.config.recorded import recorded
from stillhouse.config.schema import PURE, Round
from stillhouse.config.teacher_file import fill, is_pattern
from stillhouse.errors import RunError, unknown_name
from stillhouse.rounds.survey import Cell, Survey, own_teacher
from stillhouse.rounds.workspace import TRASH, Workspace
from stillhouse.runs.files import read_json, write_atomic
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import dump
from stillhouse.runs.state import state_of

BAD = ("failed", "at chance", "unreadable")


@dataclass(frozen=True)
class Heap:
    """What one reset moved aside."""

    path: Path
    record: dict[str, Any]

    @property
    def runs(self) -> list[str]:
        """The runs that are still in it."""
        paths = (entry["run"] for entry in self.record["runs"])
        return [run for run in paths if (self.path / run).is_dir()]

    @property
    def bytes(self) -> int:
        """The space it takes."""
        return sum(file.stat().st_size for file in self.path.rglob("*") if file.is_file())


def to_reset(survey: Survey, named: set[str] | None) -> list[Cell]:
    """The runs that were named and have begun; without names the failed and invalid ones.

    Raises RunError if one of them is being trained.
    """
    cells = [
        cell
        for cell in survey.cells
        if cell.state.name != "missing"
        and (cell.shown in BAD if named is None else cell.config.path in named)
    ]
    for cell in cells:
        if cell.state.name == "running":
            raise RunError(
                f"{cell.config.path} is being trained by {cell.state.reason}",
                "end that process first, or choose other runs with --only",
            )
    return cells


def one_to_reset(workspace: Workspace, survey: Survey, run: str) -> list[Cell]:
    """The run of a path: of the round, or no longer named by it, or a teacher taken from a file.

    Raises ConfigError if it has not begun, and RunError if it is being trained.
    """
    if any(cell.config.path == run for cell in survey.cells):
        return to_reset(survey, {run})
    folder = RunFolder(workspace.experiments / run)
    if (config := recorded(folder)) is None:
        raise unknown_name("run", run, [cell.config.path for cell in survey.cells])
    cell = Cell(config, folder, state_of(folder), None)
    return to_reset(Survey(survey.round, [cell]), {config.path})


def dependents(cells: Iterable[Cell], survey: Survey) -> dict[str, list[str]]:
    """For each teacher among `cells`, the students that have begun and are not reset with it."""
    moved = {cell.config.path for cell in cells}
    found: dict[str, list[str]] = {}
    for cell in survey.cells:
        teacher = own_teacher(cell.config)
        begun = cell.state.name != "missing" and cell.config.path not in moved
        if teacher in moved and begun:
            found.setdefault(str(cell.config.teacher_path), []).append(cell.config.path)
    return found


def move_aside(workspace: Workspace, round_: str, cells: list[Cell]) -> Heap:
    """Move the folders of some runs into a new heap.

    Raises RunError if two resets happen within one second.
    """
    stamp = time.strftime("%Y-%m-%dT%H-%M-%S")
    heap = workspace.experiments / TRASH / stamp
    try:
        heap.mkdir(parents=True)
    except FileExistsError:
        raise RunError(f"{heap} exists", "wait a second and repeat the command") from None
    entries = [
        {
            "run": cell.folder.path.relative_to(workspace.experiments).as_posix(),
            "state": cell.shown,
            "reason": cell.learned_nothing or cell.state.reason,
        }
        for cell in cells
    ]
    record = {"round": round_, "time": time.time(), "runs": entries}
    write_atomic(heap / "reset.json", dump(record))
    for entry in entries:
        _move(workspace.experiments / entry["run"], heap / entry["run"])
    return Heap(heap, record)


def heaps(workspace: Workspace) -> list[Heap]:
    """What was moved aside and is still there, oldest first."""
    files = sorted((workspace.experiments / TRASH).glob("*/reset.json"))
    return [Heap(file.parent, read_json(file)) for file in files]


def move_back(workspace: Workspace, heap: Heap) -> list[str]:
    """Put the runs of a heap back; return their paths.

    Raises RunError, and moves nothing, if one of them has been started anew.
    """
    runs = heap.runs
    for run in runs:
        if (workspace.experiments / run).exists():
            raise RunError(
                f"{run} has been started anew since it was reset",
                f"reset it again, or move it back by hand from {heap.path / run}",
            )
    for run in runs:
        _move(heap.path / run, workspace.experiments / run)
    shutil.rmtree(heap.path)
    return runs


def purge(found: Iterable[Heap]) -> None:
    """Delete heaps for good."""
    for heap in found:
        shutil.rmtree(heap.path)


def teachers_of_copy(workspace: Workspace, round_: Round, file: Path) -> str | None:
    """The `teachers_from` that a copy of a round file needs in another workspace.

    It names this workspace if the round trains teachers, and given teachers if they are found from
    this workspace alone. None if the file's own lines lead to them from everywhere.
    """
    beside, here = file.resolve().parent, workspace.root.resolve()
    given = round_.teachers_from
    if given is None:
        borrowed = PURE not in round_.methods and any(map(own_teacher, expand(round_)))
        return os.path.relpath(here, beside) if round_.own_teachers or borrowed else None
    if is_pattern(given):
        files = {
            fill(given, run.dataset, run.teacher.model, run.teacher.seed)
            for run in expand(round_)
            if run.teacher and run.teacher.source == given
        }
        alone = any((here / name).is_file() and not (beside / name).is_file() for name in files)
        return os.path.relpath(here / given, beside) if alone else None
    found = workspace.teachers_of(given).resolve()
    homes = [beside / given / "experiments", beside / given]
    if found in [home.resolve() for home in homes]:
        return None
    return os.path.relpath(found, beside)


def copy_of_round(text: str, old: str, new: str, teachers: str | None) -> str:
    """A round file's text under a new name, compared with the old round.

    `teachers` replaces `teachers_from`. Reasons for changes are left out: they are relative to an
    earlier round. Raises RunError if the text has no line for its name.
    """
    left_out = {"compares_to", "changes", *(["teachers_from"] if teachers else [])}
    lines, inside = list[str](), False
    for line in text.splitlines():
        if line[:1] not in ("", " ", "\t", "#"):
            inside = line.partition(":")[0].rstrip() in left_out
        if not inside or line.startswith("#"):
            lines.append(line)
    for index, line in enumerate(lines):
        if line.startswith("round:"):
            given = {"round": new, "compares_to": old}
            given |= {"teachers_from": teachers} if teachers else {}
            lines[index : index + 1] = yaml.safe_dump(given, sort_keys=False).splitlines()
            return "\n".join(lines) + "\n"
    raise RunError("the round file has no line `round: NAME`", "write it on a line of its own")


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.rename(source, target)
