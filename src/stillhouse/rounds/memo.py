"""Results that follow from the files of a round, kept until one of the files changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from stillhouse.config.renamed import folder_of
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.index import Cache, Stamp, settled, stamp

_Kind = TypeVar("_Kind")
# What a result on a finished run may be read from.
READ = (
    "run.json",
    "result.json",
    "metrics.jsonl",
    "predictions.safetensors",
    "own_loss.json",
    "extracted.json",
)
READ_OF_ATTEMPT = ("claim.json", "status.json", "released.json")


def remembered(
    what: str,
    survey: Survey,
    kind: type[_Kind] | Any,
    compute: Callable[[], _Kind],
    given: Iterable[object] = (),
    beside: Iterable[Path] = (),
) -> _Kind:
    """Return `compute()`, or what it gave when every file of the round was as it is now.

    `what` names the result, `kind` is its type, `given` are the options that it depends on,
    `beside` are files outside the runs' folders. Nothing is kept while a run is in training or
    has only just changed.
    """
    key = _key(survey, given, beside)
    if key is None:
        return compute()
    first = survey.cells[0].folder.path.absolute()
    cache, adapter = Cache(what, f"{survey.round.round} {first}"), TypeAdapter[_Kind](kind)
    found = cache.load()
    if isinstance(found, dict) and found.get("key") == key:
        try:
            return adapter.validate_python(found["value"], strict=False)
        except ValidationError:
            pass  # written by hand: computed anew
    value = compute()
    cache.save({"key": key, "value": adapter.dump_python(value, mode="json")})
    return value


def _key(survey: Survey, given: Iterable[object], beside: Iterable[Path]) -> str | None:
    """A hash of all that a result depends on; None where the files do not decide it."""
    if not survey.cells or any(cell.state.name == "running" for cell in survey.cells):
        return None
    digest = sha256(json.dumps([*map(repr, given)]).encode())
    digest.update(survey.round.model_dump_json().encode())
    for name, one in _stamps(survey.cells, beside):
        if one is not None and not settled([one]):
            return None
        digest.update(f"{name} {one}\n".encode())
    return digest.hexdigest()


def _stamps(cells: Iterable[Cell], beside: Iterable[Path]) -> Iterator[tuple[str, Stamp | None]]:
    """Every file that a result may be read from, with its stamp."""
    for cell in cells:
        taught = cell.teacher.name if cell.teacher else ""
        yield f"{cell.config.path} {cell.state.name} {taught} {cell.state.reason}", None
        yield from _of_run(cell)
    for file in beside:
        yield str(file), stamp(file)


def _of_run(cell: Cell) -> Iterator[tuple[str, Stamp | None]]:
    folder, state = cell.folder, cell.state
    if state.name == "missing":
        return
    if state.name == "done":
        names = [f"{folder.path}/{name}" for name in READ]
        newest = f"{folder.path}/attempts/{state.attempts:03d}"
        names += [f"{newest}/{name}" for name in READ_OF_ATTEMPT]
    else:
        names = sorted(str(path) for path in folder.path.rglob("*"))
    for name in names:
        yield name, stamp(name)


def borrowed(workspace: Workspace, survey: Survey) -> list[Path]:
    """The files of teachers that another round trained, as `beside` takes them."""
    sources = {
        (teacher.source, str(cell.config.teacher_path))
        for cell in survey.cells
        if (teacher := cell.config.teacher) and teacher.source
    }
    homes = cache(workspace.teachers_of)
    folders = [folder_of(homes(source), path).path for source, path in sorted(sources)]
    return [folder / name for folder in folders for name in READ]
