"""The tables of `analyze` are read back as they were, and written as Parquet."""

from __future__ import annotations

import io
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import pytest

from fake_rounds import Bench
from stillhouse import load_round
from stillhouse.errors import ConfigError, RunError
from stillhouse.show.analyze import analyze_table
from stillhouse.stats import written
from stillhouse.stats.columns import DTYPES, TABLES, frame
from stillhouse.stats.written import parquet, read_table

ROWS = [
    {"dataset": "NA", "run": "a", "layer": "null", "measure": "ece", "value": 0.5},
    {"dataset": "NA", "run": "b", "layer": "layer1", "measure": "ece", "value": None, "why": "x"},
]


@pytest.mark.parametrize("name", TABLES)
def test_columns_and_types_are_the_same_without_rows(name: str, tmp_path: Path) -> None:
    columns = TABLES[name][1]
    frame([], columns).to_csv(tmp_path / f"{name}.csv", index=False)
    for found in (read_table(tmp_path, name, "tiny"), read_table(tmp_path / "no", name, "tiny")):
        assert {n: str(t) for n, t in found.dtypes.items()} == {
            column.name: DTYPES[column.type] for column in columns
        }


def test_names_that_look_like_missing_values_stay_names(tmp_path: Path) -> None:
    frame(ROWS, TABLES["measures"][1]).to_csv(tmp_path / "measures.csv", index=False)
    found = read_table(tmp_path, "measures", "tiny")
    assert [*found["dataset"], *found["layer"]] == ["NA", "NA", "null", "layer1"]
    assert found["value"].isna().tolist() == [False, True]


def test_the_tables_of_analyze_are_the_frames_of_the_round(bench: Bench) -> None:
    bench.finish_all(90.0 for _ in bench.runs)
    bench.finish(next(iter(bench.runs)), 10.0)  # at chance: valid is "no"
    analyze_table(bench.workspace, bench.look(), 1, lambda text: None)
    home = bench.workspace.root / "analysis" / "experiment_tiny" / "tables"
    loaded = load_round(bench.file, bench.workspace.root)
    assert read_table(home, "runs", "tiny")["valid"].value_counts().to_dict() == {
        True: len(bench.runs) - 1,
        False: 1,
    }
    for name, expected in (("runs", loaded.runs), ("epochs", loaded.epochs)):
        pd.testing.assert_frame_equal(
            read_table(home, name, "tiny").fillna(pd.NA), expected.fillna(pd.NA), check_dtype=False
        )
    assert (home / "runs.parquet").exists() is (find_spec("pyarrow") is not None)


@pytest.mark.parametrize("content", ["", "run,value\na,1\n", "value\nmuch\n"])
def test_what_is_no_such_table_is_named(content: str, tmp_path: Path) -> None:
    (tmp_path / "measures.csv").write_text(content)
    with pytest.raises(RunError, match=r"measures\.csv"):
        read_table(tmp_path, "measures", "tiny")


def test_before_analyze_there_are_no_measures(bench: Bench) -> None:
    found = load_round(bench.file, bench.workspace.root)
    with pytest.raises(RunError, match=r"measures\.csv is not there"):
        _ = found.measures


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(written, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pyarrow") as refused:
        parquet(frame(ROWS, TABLES["measures"][1]))
    assert "stillhouse[parquet]" in refused.value.hint


def test_parquet_keeps_types_and_missing_values(bench: Bench) -> None:
    pytest.importorskip("pyarrow", reason="pip install 'stillhouse[parquet]'")
    bench.finish_all(90.0 for _ in bench.runs)
    runs = load_round(bench.file, bench.workspace.root).runs
    found = pd.read_parquet(io.BytesIO(parquet(runs)))
    assert [*found.columns] == [*runs.columns]
    assert found["seed"].tolist() == runs["seed"].tolist()
    assert found["valid"].tolist() == [True] * len(runs)
    assert found["loss"].isna().all()
