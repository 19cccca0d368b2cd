"""`stillhouse terms`: every method's own loss on the test images, of its student and a pure one."""

from __future__ import annotations

from pathlib import Path

from stillhouse.errors import RunError
from stillhouse.rounds.resolve import resolve
from stillhouse.rounds.survey import Survey
from stillhouse.tables import Table
from stillhouse.training.cohort import Place
from stillhouse.training.precision import pick_device
from stillhouse.training.terms import compare


def terms_table(
    seen: Survey,
    experiments: Path,
    teachers: Path,
    data_root: Path,
    device: str,
    fit_epochs: int | None,
) -> tuple[Table, bool]:
    """The comparison of every completed distillation run, and whether its own loss is lower in all.

    Raises RunError if no distillation run is done.
    """
    done = [cell.config for cell in seen.cells if cell.config.teacher and cell.state.name == "done"]
    if not done:
        raise RunError(f"round {seen.round.round}: no distillation run is done", "train it first")
    place = Place(experiments, teachers, data_root, pick_device(device))
    rows, kept = [], True
    for found in compare([resolve(run) for run in done], place, fit_epochs):
        run, lower = found.run, found.own < found.pure
        kept = kept and lower
        ratio = found.own / found.pure
        rows.append(
            (
                run.dataset,
                run.method,
                run.seed,
                f"{found.own:.4g}",
                f"{found.pure:.4g}",
                f"{ratio:.3f}",
                "yes" if lower else "NO",
            )
        )
    columns = ("Dataset", "Method", "Seed", "Its student", "Pure student", "Ratio", "Lower")
    note = (
        "Each method's weighted loss without cross entropy, on the test images against the "
        "teacher. Where a method trains modules of its own, the pure student, frozen, is "
        f"measured with modules fitted to it in {fit_epochs or 'as many'} epochs."
    )
    title = f"round {seen.round.round}: does each method do what it claims?"
    return Table(title, columns, tuple(rows), (note,)), kept
