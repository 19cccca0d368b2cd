"""Reading the tables of `analyze`, with the columns and types of `stats.columns`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from stillhouse.errors import RunError
from stillhouse.stats.columns import DTYPES, TABLES, frame


def read_table(folder: Path, name: str, round_: str) -> pd.DataFrame:
    """Return a table of `analyze` from its folder; without rows if it has not been written.

    `name` is a key of `TABLES`. Raises RunError if the file is no such table.
    """
    path, columns = folder / f"{name}.csv", TABLES[name][1]
    if not path.exists():
        return frame([], columns)
    types = {column.name: DTYPES[column.type] for column in columns}
    try:
        found = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise _damaged(path, str(error), round_) from None
    if missing := [one for one in types if one not in found]:
        raise _damaged(path, f"the column '{missing[0]}' is missing", round_)
    return found


def _damaged(path: Path, why: str, round_: str) -> RunError:
    return RunError(f"{path}: {why}", f"write it again with `stillhouse analyze {round_}`")
