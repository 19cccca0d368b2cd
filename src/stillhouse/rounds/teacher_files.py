"""Teachers from weight files: found, measured and recorded before a round starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stillhouse.config.recorded import recorded
from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.config.teacher_file import FROZEN, fill, from_file
from stillhouse.errors import RunError
from stillhouse.models.named import find
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import file_hash
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import train_anew


def import_teachers(
    workspace: Workspace,
    runs: Iterable[RunConfig],
    data_root: Path,
    device: str,
    say: Callable[[str], None],
) -> None:
    """Take over every teacher that `runs` have from a file, unless it has been.

    Raises RunError for a file that is missing, unusable, or another than was taken over.
    """
    for path, run in {run.teacher_path: run for run in runs if run.teacher}.items():
        teacher = run.teacher
        if path is None or teacher is None or not from_file(teacher.source):
            continue
        file = _file(workspace, run, teacher)
        folder = folder_of(workspace.teachers_of(teacher.source), path)
        if result := folder.completed():
            if result.get("adopted", {}).get("sha256") != file_hash(file):
                raise RunError(
                    f"{file} has changed since it was taken over as a teacher",
                    train_anew(folder.path).replace("train the run", "take it over"),
                )
            if _options(recorded(folder), teacher) != _options(run, teacher):
                raise RunError(
                    f"{file} was taken over as a teacher with other options",
                    train_anew(folder.path).replace("train the run", "take it over"),
                )
            continue
        accuracy, matched = _take_over(file, folder, run, data_root, device)
        note = f"; {matched}" if matched else ""
        say(f"teacher from {file}: {accuracy:.2f} % on the test images{note}")


def _options(run: RunConfig | None, teacher: Teacher) -> dict[str, Any]:
    """Return the options of a teacher's network that change its numbers; empty without any."""
    network = find(teacher.model, run.networks) if run else None
    return network.counted() if network else {}


def _file(workspace: Workspace, run: RunConfig, teacher: Teacher) -> Path:
    """Return the file of a teacher. Raises RunError if it is not there or has changed."""
    if teacher.source == FROZEN:
        from stillhouse.training.weight_files import checked_file

        network = find(teacher.model, run.networks)
        assert network is not None
        return checked_file(network)
    assert teacher.source is not None
    near = workspace.near(fill(teacher.source, run.dataset, teacher.model, teacher.seed))
    if (file := next((one for one in near if one.is_file()), None)) is None:
        raise RunError(
            f"teachers_from: {near[0]} is not there", "put it there, or correct the name"
        )
    return file


def _take_over(
    file: Path, folder: RunFolder, run: RunConfig, data_root: Path, device: str
) -> tuple[float, str]:
    # Imported here: torch takes seconds, and most rounds train their teachers themselves.
    from stillhouse import data
    from stillhouse.training.precision import pick_device
    from stillhouse.training.teacher_files import import_teacher

    images = data.load(run.dataset, data_root, run.files)
    return import_teacher(file, folder, run, images, pick_device(device))
