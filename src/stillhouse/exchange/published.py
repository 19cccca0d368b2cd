"""Results of a round trained elsewhere: `<round>_results.csv` beside its round file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stillhouse.config.renamed import canonical
from stillhouse.errors import ConfigError, DataError
from stillhouse.fields import first_fault

ADDED = ("n", "sd", "teacher", "source")  # columns that older files lack
Kind = Literal["best_epoch", "final_epoch"]
Percent = Annotated[float, Field(ge=0, le=100)]


class PublishedResult(BaseModel):
    """One run, or the mean of several: `accuracy` in percent of the test images, None if unknown.

    `epoch` is the last trained one, None if unknown. A mean has no `seed`; `n` is how many runs it
    is of and `sd` their standard deviation in points, None if they were not published. `teacher`
    is the network distilled from, where the file has several; `source` says where it was published.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    method: str
    model: str
    seed: Annotated[int, Field(ge=0)] | None
    accuracy: Percent | None
    kind: Kind
    status: Literal["completed", "failed", "in_progress"]
    epoch: Annotated[int, Field(gt=0)] | None
    n: Annotated[int, Field(gt=0)] | None = None
    sd: Annotated[float, Field(ge=0)] | None = None
    teacher: str | None = None
    source: str | None = None

    @field_validator("model", "teacher")
    @classmethod
    def _todays_name(cls, name: str | None) -> str | None:
        return canonical("model", name) if name else None


def results_file(round_file: Path) -> Path:
    """Return the path of the results of a round trained elsewhere: beside its round file."""
    return round_file.with_name(f"{round_file.stem}_results.csv")


def find_results(named: str, folder: Path) -> Path:
    """The results file that is meant by its own path, a round file beside it, or a round's name.

    A name is looked for in `folder`, in rounds/ and here. Raises ConfigError listing what was
    looked for.
    """
    path, file = Path(named), f"{named}_results.csv"
    tried = [path] if path.suffix == ".csv" else [folder / file, Path("rounds") / file, Path(file)]
    if path.suffix in (".yaml", ".yml"):
        tried = [results_file(path)]
    if found := next((one for one in tried if one.exists()), None):
        return found
    looked = ", ".join(dict.fromkeys(map(str, tried)))
    raise ConfigError(
        f"--against {named}: no published results",
        f"looked for {looked}; with a round that was trained: stillhouse compare {named} ROUND",
    )


def read_results(path: Path) -> list[PublishedResult]:
    """Return the rows of a results file. Raises DataError with file and line."""
    columns = list(PublishedResult.model_fields)
    older = columns[: -len(ADDED)]
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
        if reader.fieldnames not in (columns, older):
            raise DataError(f"{path}:1: unexpected columns", f"expected {','.join(columns)}")
        lines = [(reader.line_num, line) for line in reader]
    except csv.Error as error:
        raise DataError(f"{path}: not a CSV file ({error})", "restore it") from None
    for number, line in lines:
        fields: dict[str, Any] = {key: value or None for key, value in line.items()}
        if reader.fieldnames == older and fields["seed"] is None:
            what = "the field 'seed': given nothing, expected a whole number"
            raise DataError(f"{path}:{number}: {what}", f"columns: {','.join(older)}")
        try:
            rows.append(PublishedResult.model_validate(fields))
        except ValidationError as error:
            what = first_fault(error)
            raise DataError(f"{path}:{number}: {what}", f"columns: {','.join(columns)}") from None
    return rows
