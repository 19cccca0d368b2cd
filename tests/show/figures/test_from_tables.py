"""Figures of a round, drawn from the tables in its folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from show.figures.made_tables import made
from stillhouse.errors import RunError
from stillhouse.show.figures import FIGURES
from stillhouse.show.figures.from_tables import COLUMNS, read_tables, write_figures

ROUND: Any = SimpleNamespace(round="made", datasets=["Cifar10"], files=(), imported=False)


def saved(folder: Path, *names: str) -> Path:
    """The tables of the made round as CSV, with all listed columns."""
    tables = made()
    for name in names:
        frame = getattr(tables, name)
        columns = [column.name for column in COLUMNS[name]]
        more = [column for column in frame if column not in columns]
        frame = frame.reindex(columns=[*columns, *more])
        if name == "runs":
            frame["valid"] = frame["valid"].map({True: "yes", False: "no"})
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder


def test_all_figures_from_files(tmp_path: Path) -> None:
    tables = read_tables(saved(tmp_path, *COLUMNS), ROUND)
    written = [*write_figures(tables, ["Cifar10"], [*FIGURES], tmp_path / "figures", ["svg"])]
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {
        f"made-Cifar10-{name}.{kind}" for name in FIGURES for kind in ("svg", "csv", "md")
    }
    assert {Path(path).name for path in written} == names


def test_figures_from_files_are_those_from_frames(tmp_path: Path) -> None:
    read = read_tables(saved(tmp_path, *COLUMNS), ROUND)
    for tables, folder in ((read, "files"), (made(), "frames")):
        assert [*write_figures(tables, ["Cifar10"], ["forest"], tmp_path / folder, [])]
    one, other = (
        (tmp_path / folder / "made-Cifar10-forest.md").read_text() for folder in ("files", "frames")
    )
    assert one == other


def test_without_extracted_layers_the_reason_is_reported(tmp_path: Path) -> None:
    tables = read_tables(saved(tmp_path, "runs"), ROUND)
    written = [*write_figures(tables, ["Cifar10"], [*FIGURES], tmp_path / "figures", ["svg"])]
    reasons = [text for text in written if isinstance(text, str)]
    assert len(reasons) == len(FIGURES) - 1
    assert all("not drawn" in text for text in reasons)


def test_missing_and_damaged_tables_are_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"runs\.csv"):
        read_tables(tmp_path, ROUND)
    saved(tmp_path, *COLUMNS)
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match=r"pairs\.csv") as caught:
        read_tables(tmp_path, ROUND)
    assert "analyze made" in caught.value.hint
    pd.DataFrame({"dataset": []}).to_csv(tmp_path / "pairs.csv", index=False)
    with pytest.raises(RunError, match="run_a"):
        read_tables(tmp_path, ROUND)
