"""Convert a survey of the files to the input of the policy."""

from __future__ import annotations

from collections.abc import Mapping

from stillhouse import data
from stillhouse.config.facts import training_images
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Survey
from stillhouse.runs.files import file_hash
from stillhouse.runs.folder import RunFolder

Operations = Mapping[str, Mapping[str, int]]


def epoch_costs(survey: Survey, operations: Operations) -> dict[str, float]:
    """What an epoch of each run costs, by path, in multiplications.

    `operations` are those of one image's forward pass, by dataset and network.
    """
    return {
        cell.path: _epoch_cost(cell.config, operations[cell.config.dataset])
        for cell in survey.cells
    }


def _epoch_cost(run: RunConfig, operations: Mapping[str, int]) -> float:
    """Return the operations of an epoch; a backward pass takes about twice a forward pass."""
    spec = data.spec(run.dataset, run.files)
    images = training_images(run)
    cost = operations[run.model] * (3 * images + spec.test_images)
    return float(cost + (operations[run.teacher.model] * images if run.teacher else 0))


def teachers_ready(
    survey: Survey, teachers: dict[str, RunFolder]
) -> tuple[set[str], dict[str, str]]:
    """Return the unfinished runs whose teacher allows a start, and the problem of every other
    teacher.

    `teachers` holds each distilled run's teacher's folder. A teacher is accepted if its result is
    complete and the file of its weights has the recorded hash.
    """
    faults: dict[RunFolder, str] = {}
    ready, wrong = set(), {}
    for cell in survey.cells:
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
