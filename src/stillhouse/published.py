"""Results that were published or reported elsewhere, as data beside a round file.

`<round>_results.csv` holds one row per run, `<round>_reported.csv` the "mean ± std" a text
printed. The latter are recomputed from the former, because a "±" does not say its estimator.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, pstdev, stdev
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillhouse.errors import DataError
from stillhouse.tables import Table

Kind = Literal["best_epoch", "final_epoch"]
Estimator = Literal["ddof=1", "ddof=0", "neither"]
Percent = Annotated[float, Field(ge=0, le=100)]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    method: str
    model: str


class PublishedResult(_Row):
    """One run: `accuracy` in percent of the test images, None if there is none.

    `epoch` is the last one trained, None if it is not known.
    """

    seed: Annotated[int, Field(ge=0)]
    accuracy: Percent | None
    kind: Kind
    status: Literal["completed", "failed", "in_progress"]
    epoch: Annotated[int, Field(gt=0)] | None


class ReportedCell(_Row):
    """A printed "mean ± std", in percent, to two decimals."""

    mean: Percent
    std: Annotated[float, Field(ge=0)]


class Recomputed(BaseModel):
    """A reported cell, recomputed from its runs.

    `std` is the sample standard deviation (ddof = 1), `estimator` the one the reported ± is.
    """

    model_config = ConfigDict(frozen=True)

    reported: ReportedCell
    n: int
    mean: float
    std: float
    estimator: Estimator


_AnyRow = TypeVar("_AnyRow", bound=_Row)


def results_file(round_file: Path) -> Path:
    """Where the results of a round lie that were not trained here: beside its round file."""
    return round_file.with_name(f"{round_file.stem}_results.csv")


def reported_file(round_file: Path) -> Path:
    """Where the "mean ± std" printed about such a round lie."""
    return round_file.with_name(f"{round_file.stem}_reported.csv")


def read_results(path: Path) -> list[PublishedResult]:
    """The rows of a results file. Raises DataError with file and line."""
    return _read(path, PublishedResult)


def read_reported(path: Path) -> list[ReportedCell]:
    """The rows of a reported file. Raises DataError with file and line."""
    return _read(path, ReportedCell)


def estimator(values: Iterable[float], reported: float, decimals: int = 2) -> Estimator:
    """Which standard deviation of `values` (at least two) is `reported` after rounding."""
    values = list(values)
    half = 0.5 * 10**-decimals + 1e-9
    if abs(stdev(values) - reported) <= half:
        return "ddof=1"
    return "ddof=0" if abs(pstdev(values) - reported) <= half else "neither"


def recompute(
    reported: Iterable[ReportedCell], results: Iterable[PublishedResult]
) -> list[Recomputed]:
    """Mean and sample standard deviation of each reported cell's completed runs.

    Raises DataError for a cell with fewer than two of them.
    """
    results = list(results)
    return [_recompute(cell, results) for cell in reported]


def estimator_table(cells: Iterable[Recomputed], name: str) -> Table:
    """What was reported about a round and what it is recomputed."""
    cells = list(cells)
    found = [cell.estimator for cell in cells]
    counts = ", ".join(f"{found.count(kind)} {kind}" for kind in get_args(Estimator))
    return Table(
        title=f"Reported and recomputed mean ± std of round {name} (accuracy, %)",
        columns=("Dataset", "Method", "Model", "Reported", "Recomputed (ddof=1)", "n", "± is"),
        rows=tuple(
            (
                cell.reported.dataset,
                cell.reported.method,
                cell.reported.model,
                f"{cell.reported.mean:.2f} ± {cell.reported.std:.2f}",
                f"{cell.mean:.2f} ± {cell.std:.2f}",
                cell.n,
                cell.estimator,
            )
            for cell in cells
        ),
        notes=(f"Estimators behind the {len(cells)} reported ±: {counts}.",),
    )


def _recompute(cell: ReportedCell, results: list[PublishedResult]) -> Recomputed:
    place = (cell.dataset, cell.method, cell.model)
    values = [
        row.accuracy
        for row in results
        if (row.dataset, row.method, row.model) == place
        and row.status == "completed"
        and row.accuracy is not None
    ]
    if len(values) < 2:
        raise DataError(
            f"{'/'.join(place)}: a standard deviation is reported for {len(values)} run(s)",
            "add its runs to the results file or remove the reported cell",
        )
    return Recomputed(
        reported=cell,
        n=len(values),
        mean=mean(values),
        std=stdev(values),
        estimator=estimator(values, cell.std),
    )


def _read(path: Path, model: type[_AnyRow]) -> list[_AnyRow]:
    columns = list(model.model_fields)
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would block
        raise DataError(f"cannot read {path}: not a plain file")
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8 text", "save the file as UTF-8") from None
    reader = csv.DictReader(text.splitlines(), restkey="extra")
    rows = []
    try:
        if reader.fieldnames != columns:
            raise DataError(f"{path}:1: unexpected columns", f"expected {','.join(columns)}")
        lines = [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error})", "restore it") from None
    for number, line in lines:
        fields: dict[str, Any] = {key: value or None for key, value in line.items()}
        try:
            rows.append(model.model_validate(fields))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise DataError(
                f"{path}:{number}: {first['loc'][0]}: given {first['input']!r}: {first['msg']}",
                f"columns: {','.join(columns)}",
            ) from None
    return rows
