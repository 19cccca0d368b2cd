"""Which runs train together, and which group goes next. Pure functions on a survey."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

from stillhouse.config.schema import ONLY_WITH, RunConfig
from stillhouse.rounds.survey import Cell, own_teacher

SHARED_RECIPE = (
    "batch_size",
    "augmentation",
    *(name for name, (other, _) in ONLY_WITH.items() if other == "augmentation"),
    "train_images",
    "validation",
    "precision",
    "threads",
    "deterministic",
    "tf32",
    "cuda_graphs",
)


def shared(run: RunConfig) -> tuple[object, ...]:
    """What the runs of a cohort have in common, besides the teacher."""
    return (run.dataset, run.seed, *(getattr(run.training, name) for name in SHARED_RECIPE))


def cohorts(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Group cells that may train together: each teacher alone, then students by teacher, the
    largest group first.

    A student without a teacher joins the first group that shares its seed and recipe.
    """
    cells = list(cells)
    teaching = {own_teacher(cell.config) for cell in cells}
    teachers = [cell for cell in cells if cell.config.path in teaching]
    students = [cell for cell in cells if cell.config.path not in teaching]
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in sorted(students, key=lambda cell: cell.config.teacher is None):
        key = (*shared(cell.config), cell.config.teacher_path)
        if cell.config.teacher is None:
            key = next((other for other in groups if other[:-1] == key[:-1]), key)
        groups.setdefault(key, []).append(cell)
    return [[cell] for cell in teachers] + sorted(groups.values(), key=len, reverse=True)


def ready_groups(cells: Iterable[Cell]) -> list[list[Cell]]:
    """The groups that can start now, teachers first; cells whose teacher is not done are left out.

    A student without a teacher is held back while the rest of its group waits, and offered last,
    for a worker that would idle.
    """
    ready: list[list[Cell]] = []
    early: list[list[Cell]] = []
    for group in cohorts(cells):
        now = [cell for cell in group if cell.ready]
        if now:
            (ready if len(now) == len(group) else early).append(now)
    return ready + early


def divide(groups: list[list[Cell]], jobs: int) -> list[list[Cell]]:
    """Split groups so that `jobs` workers end at nearly the same time; the order stays.

    A group is split only where it would keep one worker busy after the others have ended: each
    further process computes the teacher's passes once more. Every run counts the same.
    """
    ends = [0] * jobs
    share = ceil(sum(map(len, groups)) / jobs)
    parts: list[list[Cell]] = []
    for group in groups:
        for part in _split(group, max(1, share - min(ends))):
            ends[ends.index(min(ends))] += len(part)
            parts.append(part)
    return parts


def _split(group: list[Cell], size: int) -> list[list[Cell]]:
    """Divide a group into as few parts of at most `size` cells as possible, of equal size."""
    parts = ceil(len(group) / size)
    return [group[i::parts] for i in range(parts)]
