"""Records of epochs: read at once where they are sound, line by line where they are not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.errors import RunError
from stillhouse.runs import records

HASH = "1e999" + "0" * 59  # reads like a number beyond floats
numbers = st.floats(allow_nan=False, allow_infinity=False)
epochs = st.lists(
    st.fixed_dictionaries(
        {"epoch": st.integers(1, 10**9), "test": st.just({"accuracy": 5.0})},
        optional={
            "train": st.dictionaries(st.text(), numbers, max_size=3),
            "hashes": st.just({"0": HASH}),
            "later": st.recursive(numbers | st.text() | st.none(), st.lists, max_leaves=3),
        },
    ),
    max_size=4,
)


@given(epochs)
def test_records_are_read_to_the_bit(tmp_path_factory: pytest.TempPathFactory, rows: Any) -> None:
    path = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = records.read_epochs(path)
    assert json.dumps(read, sort_keys=True) == json.dumps(rows, sort_keys=True)


def test_sound_records_are_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"epoch": 1, "test": {"accuracy": 5.0}, "hashes": {"0": HASH}}
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{json.dumps(row)}\n" * 3)
    monkeypatch.delattr(records, "parse_lines")
    assert records.read_epochs(path) == [row] * 3


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "1E400", "1" * 400 + ".0"])
def test_a_loss_that_no_float_holds_is_named(tmp_path: Path, number: str) -> None:
    path = tmp_path / "metrics.jsonl"
    line = '{"epoch": 1, "test": {"accuracy": 5.0}, "train": {"ce": %s}}\n'
    path.write_text(line % "1.5" + line % number)
    with pytest.raises(RunError, match=r"metrics.jsonl:2: .* not a finite number"):
        records.read_epochs(path)


@pytest.mark.parametrize(
    ("second", "fault"),
    [
        ('{"epoch": 2, "test": {"accuracy": 105.0}}', "'test.accuracy'"),
        ('{"epoch": "2", "test": {"accuracy": 5.0}}', "'epoch'"),
        ('{"epoch": 2,\n"test": {"accuracy": 5.0}}', "not a JSON record"),
        (",".join(['{"epoch": 2, "test": {"accuracy": 5.0}}'] * 2), "not a JSON record"),
    ],
)
def test_a_record_that_is_not_sound_is_named(tmp_path: Path, second: str, fault: str) -> None:
    first = '{"epoch": 1, "test": {"accuracy": 5.0}}'
    path = tmp_path / "metrics.jsonl"
    path.write_text(f"{first}\n{second}\n")
    with pytest.raises(RunError, match=f"metrics.jsonl:2: .*{fault}"):
        records.read_epochs(path)


def test_a_torn_last_record_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"epoch": 1, "test": {"accuracy": 5.0}}\n{"epoch": 2, "te')
    assert [row["epoch"] for row in records.read_epochs(path)] == [1]
