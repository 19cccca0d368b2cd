"""Tables as files: those of `analyze` read back with the types of `stats.columns`, and Parquet."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import ConfigError, RunError
from stillhouse.stats.columns import DTYPES, TABLES, frame

if TYPE_CHECKING:
    import pandas as pd


def read_table(folder: Path, name: str, round_: str) -> pd.DataFrame:
    """Return a table of `analyze` from its folder; without rows if it has not been written.

    `name` is a key of `TABLES`. Raises RunError if the file is no such table.
    """
    import pandas as pd

    path, columns = folder / f"{name}.csv", TABLES[name][1]
    if not path.exists():
        return frame([], columns)
    flags = [column.name for column in columns if column.type == "yes/no"]
    types = {c.name: "object" if c.name in flags else DTYPES[c.type] for c in columns}
    try:
        found = pd.read_csv(path, dtype=types, keep_default_na=False, na_values=[""])
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise _damaged(path, str(error), round_) from None
    if missing := [one for one in types if one not in found]:
        raise _damaged(path, f"the column '{missing[0]}' is missing", round_)
    for name in flags:
        found[name] = found[name].map({"yes": True, "no": False}).astype("boolean")
    return found


def parquet(table: pd.DataFrame) -> bytes:
    """Return a table as a Parquet file. Raises ConfigError if pyarrow is not installed."""
    if find_spec("pyarrow") is None:
        raise ConfigError("writing parquet needs pyarrow", "pip install 'stillhouse[parquet]'")
    content = io.BytesIO()
    table.to_parquet(content, index=False, engine="pyarrow")
    return content.getvalue()


def _damaged(path: Path, why: str, round_: str) -> RunError:
    return RunError(f"{path}: {why}", f"write it again with `stillhouse analyze {round_}`")
