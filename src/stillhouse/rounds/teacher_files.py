"""Teachers from weight files: found, measured and recorded before a round starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import RunConfig
from stillhouse.config.teacher_file import fill, is_pattern
from stillhouse.errors import RunError
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
        if path is None or teacher is None or not is_pattern(teacher.source or ""):
            continue
        assert teacher.source is not None
        name = fill(teacher.source, run.dataset, teacher.model, teacher.seed)
        near = workspace.near(name)
        if (file := next((one for one in near if one.is_file()), None)) is None:
            raise RunError(
                f"teachers_from: {near[0]} is not there", "put it there, or correct the name"
            )
        folder = folder_of(workspace.teachers_of(teacher.source), path)
        if result := folder.completed():
            if result.get("adopted", {}).get("sha256") != file_hash(file):
                raise RunError(
                    f"{file} has changed since it was taken over as a teacher",
                    train_anew(folder.path).replace("train the run", "take it over"),
                )
            continue
        accuracy = _take_over(file, folder, run, data_root, device)
        say(f"teacher from {file}: {accuracy:.2f} % on the test images")


def _take_over(
    file: Path, folder: RunFolder, run: RunConfig, data_root: Path, device: str
) -> float:
    # Imported here: torch takes seconds, and most rounds train their teachers themselves.
    from stillhouse import data
    from stillhouse.training.precision import pick_device
    from stillhouse.training.teacher_files import import_teacher

    assert run.teacher is not None
    images = data.load(run.dataset, data_root, run.files)
    return import_teacher(file, folder, run.teacher, images, run.files, pick_device(device))
