"""Convert a survey of the files to the input of the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from stillhouse import data
from stillhouse.cluster.jobs import Standing
from stillhouse.cluster.policy import Run
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.rounds.schedule import cohorts
from stillhouse.rounds.survey import Cell, Survey, own_teacher
from stillhouse.runs.files import file_hash
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.state import RunState

Operations = Mapping[str, Mapping[str, int]]


def outline(seen: Survey, operations: Operations | None = None) -> list[Run]:
    """Return the runs of a round with the cost of an epoch of each.

    `operations` are those of one image's forward pass, by dataset and network. If they are None,
    the runs have no cost; only the submission order needs it.
    """
    group = {
        cell.config.path: number
        for number, cells in enumerate(cohorts(seen.cells))
        for cell in cells
    }
    runs = []
    for cell in seen.cells:
        run = cell.config
        runs.append(
            Run(
                path=run.path,
                dataset=run.dataset,
                model=run.model,
                group=group[run.path],
                teacher=own_teacher(run),
                epochs=run.training.epochs,
                cost=_epoch_cost(run, operations[run.dataset]) if operations else 0.0,
            )
        )
    return runs


def _epoch_cost(run: RunConfig, operations: Mapping[str, int]) -> float:
    """Return the operations of an epoch; a backward pass takes about twice a forward pass."""
    spec = data.spec(run.dataset, run.files)
    images = run.training.train_images or spec.train_images - run.training.validation
    cost = operations[run.model] * (3 * images + spec.test_images)
    return float(cost + (operations[run.teacher.model] * images if run.teacher else 0))


def standing(state: RunState) -> Standing:
    """Return a run's state for the policy."""
    return Standing(
        state=state.name,
        epoch=state.epoch,
        reason=state.reason,
        attempts=state.attempts,
        code=state.code,
    )


def taught(seen: Survey, teachers: dict[str, RunFolder]) -> tuple[set[str], dict[str, str]]:
    """Return the unfinished runs whose teacher allows a start, and the problem of every other
    teacher.

    `teachers` holds each distilled run's teacher's folder. A teacher is accepted if its result is
    complete and the file of its weights has the recorded hash.
    """
    faults: dict[RunFolder, str] = {}
    ready, wrong = set(), {}
    for cell in seen.cells:
        path = cell.config.path
        if cell.state.name == "done" or not cell.ready:
            continue
        folder = teachers.get(path)
        if folder is not None and folder not in faults:
            faults[folder] = weights_fault(folder)
        if folder is None or not faults[folder]:
            ready.add(path)
        else:
            wrong[path] = faults[folder]
    return ready, wrong


def weights_fault(folder: RunFolder) -> str:
    """Return the problem of a finished run's weights; empty if they are the recorded ones."""
    try:
        result = folder.completed()
    except RunError as error:
        return error.message
    if result is None:
        return f"{folder.path} is not finished"
    _, file, recorded = folder.teaching_weights(result)
    if not file.exists() or file_hash(file) != recorded:
        return f"the weights in {file} differ from the recorded ones"
    return ""


def life(cells: Iterable[Cell]) -> dict[str, tuple[float, int]]:
    """Return each run's last heartbeat, and the most memory recorded for its newest attempt."""
    found = {}
    for cell in cells:
        attempts = cell.folder.attempts()
        heard, memory = 0.0, 0
        if attempts and cell.state.name != "unreadable":
            status = attempts[-1].read_status()
            heard, memory = status.get("heartbeat", 0.0), status.get("memory", 0)
        found[cell.config.path] = (heard, memory)
    return found
