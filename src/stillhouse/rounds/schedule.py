"""Which runs train together, and which group goes next. Pure functions on a survey."""

from __future__ import annotations

from collections.abc import Iterable
from math import gcd

from stillhouse.config.expand import teacher_path
from stillhouse.config.schema import RunConfig
from stillhouse.rounds.survey import Cell

SHARED_RECIPE = (
    "batch_size",
    "augmentation",
    "crop_padding",
    "train_images",
    "validation",
    "precision",
    "threads",
    "deterministic",
)
FEW_GROUPS = 4


def shared(run: RunConfig) -> tuple[object, ...]:
    """What the runs of a cohort have in common, besides the teacher."""
    return (run.dataset, run.seed, *(getattr(run.training, name) for name in SHARED_RECIPE))


def cohorts(cells: Iterable[Cell]) -> list[list[Cell]]:
    """Group cells that may train together: each teacher alone, then students by teacher.

    A student without a teacher joins the first group that shares its seed and recipe.
    """
    cells = list(cells)
    teaching = {teacher_path(cell.config) for cell in cells}
    teachers = [cell for cell in cells if cell.config.path in teaching]
    students = [cell for cell in cells if cell.config.path not in teaching]
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in sorted(students, key=lambda cell: cell.config.teacher is None):
        key = (*shared(cell.config), teacher_path(cell.config))
        if cell.config.teacher is None:
            key = next((other for other in groups if other[:-1] == key[:-1]), key)
        groups.setdefault(key, []).append(cell)
    return [[cell] for cell in teachers] + list(groups.values())


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


def split(group: list[Cell], parts: int) -> list[list[Cell]]:
    """Divide a group into at most `parts` groups of nearly equal size."""
    parts = min(parts, len(group))
    return [group[i::parts] for i in range(parts)]


def parts_for(groups: int, jobs: int) -> int:
    """Into how many parts to split each group so that `jobs` workers end at the same time.

    Where groups are many the end is a small part of the whole and nothing is split.
    """
    if groups == 0 or groups >= FEW_GROUPS * jobs:
        return 1
    return jobs // gcd(groups, jobs)
