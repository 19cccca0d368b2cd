"""From a round's folders to cases. Reads only."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from stillhouse.config.recorded import recorded
from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import Round, RunConfig
from stillhouse.diagnosis.case import Case, Peers
from stillhouse.diagnosis.finding import Line
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.folder import Attempt, RunFolder
from stillhouse.runs.own_loss import OwnLoss
from stillhouse.runs.own_loss import read as read_own_loss
from stillhouse.runs.state import RunState, state_of, unreadable

LOGS = {".log", ".out", ".err", ".txt"}
NAMED = {"logs", "errors", "stdout", "stderr"}
LAST_LINES = 2000
LONGEST = 300
Homes = Callable[[str | None], Path]


def read_round(workspace: Workspace, round_: Round) -> list[Case]:
    """A case for every run of a round, in the order of its matrix, with teacher and peers."""
    return read_cases(survey_round(workspace, round_), workspace.teachers_of)


def read_cases(survey: Survey, homes: Homes | None = None) -> list[Case]:
    """A case for every run of a survey, with teacher and peers.

    `homes` gives the experiments folder with the teachers of a source.
    """
    bare = {
        cell.config.path: read_run(cell.config, cell.folder, cell.state) for cell in survey.cells
    }
    taught_by = bare | _borrowed(survey, homes) if homes else bare
    by_dataset: dict[str, list[Case]] = {}
    for case in bare.values():
        by_dataset.setdefault(case.config.dataset, []).append(case)
    peers = {dataset: Peers(tuple(cases)) for dataset, cases in by_dataset.items()}
    return [
        replace(
            case,
            teacher=taught_by.get(str(case.config.teacher_path)),
            peers=peers[case.config.dataset],
            imported=survey.round.imported is not None,
        )
        for case in bare.values()
    ]


def _borrowed(survey: Survey, homes: Homes) -> dict[str, Case]:
    """The cases of another round's teachers by path."""
    found: dict[str, Case] = {}
    for run in (cell.config for cell in survey.cells):
        path = run.teacher_path
        if run.teacher and path and run.teacher.source and path not in found:
            folder = folder_of(homes(run.teacher.source), path)
            if own := recorded(folder):
                found[path] = read_run(own, folder, state_of(folder))
    return found


def read_run(config: RunConfig, folder: RunFolder, state: RunState) -> Case:
    """A run without its surroundings; what cannot be read of it makes it `unreadable`."""
    newest, metrics = _newest(folder, state)
    # of a completed run no rule asks when and where it last was alive
    beaten, here = _heartbeat(newest) if state.name != "done" else (None, True)
    facts, records, own_loss, fault = _read(config, folder, state)
    if fault:
        state = replace(state, name="unreadable", reason=fault.reason, code=fault.code)
    return Case(
        config=config,
        state=state,
        folder=folder.path,
        metrics=metrics,
        records=tuple(records),
        facts=facts,
        read_lines=partial(_log_lines, folder, newest) if newest else tuple,
        own_loss=own_loss,
        status=newest.status if newest else folder.path,
        silence=None if beaten is None else time.time() - beaten,
        here=here,
    )


def _newest(folder: RunFolder, state: RunState) -> tuple[Attempt | None, Path]:
    """The newest attempt, and the file of the epochs' records."""
    metrics = folder.path / "metrics.jsonl"
    if state.name == "missing":
        return None, metrics
    if state.name == "done":
        return folder.attempt(state.attempts) if state.attempts else None, metrics
    attempts = folder.attempts()
    return attempts[-1] if attempts else None, folder.metrics() or metrics


def _read(
    config: RunConfig, folder: RunFolder, state: RunState
) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]], OwnLoss | None, RunState | None]:
    """`run.json`, the records, the own loss, and the state that damaged files make, if they are."""
    if state.name == "missing":
        return {}, [], None, None
    try:
        home = folder.path.parents[len(Path(config.path).parts) - 1]
        own_loss = read_own_loss(folder, folder_of(home, config.pure_path))
        return folder.started() or {}, folder.records(state.result), own_loss, None
    except (RunError, OSError) as error:
        return {}, [], None, unreadable(error)


def _heartbeat(newest: Attempt | None) -> tuple[float | None, bool]:
    """When the newest attempt last wrote its status, and whether on this machine."""
    if newest is None:
        return None, True
    try:
        claim, beat = newest.read_claim(), newest.read_status().get("heartbeat")
    except (RunError, OSError):
        return None, True
    return beat, claim is None or claim["host"] == socket.gethostname()


def _log_lines(folder: RunFolder, newest: Attempt) -> list[Line]:
    """The last lines of the newest attempt's logs, and of what came with an imported run."""
    found: list[Line] = []
    for home in (newest.path, folder.path / "imported", folder.path):
        for path in sorted(home.glob("*")):
            if path.is_file() and (path.suffix in LOGS or path.name in NAMED):
                found += _tail(path)
    return found


def _tail(path: Path) -> Iterable[Line]:
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    first = max(0, len(lines) - LAST_LINES)
    for number, text in enumerate(lines[first:], start=first + 1):
        if text.strip():
            yield Line(path, number, text[:LONGEST])
