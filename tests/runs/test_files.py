from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.errors import RunError
from stillhouse.runs import files


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "status.json"
    files.write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]


def test_the_first_writer_of_a_file_written_once_wins(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    assert files.write_once(path, b"first")
    assert not files.write_once(path, b"second")
    assert path.read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_torn_last_record_is_left_out_and_a_torn_middle_one_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"epoch": 1}\n{"epo')
    assert files.read_lines(path) == [{"epoch": 1}]
    path.write_bytes(b'{"epoch": 1}\n{"epo\n{"epoch": 3}\n')
    with pytest.raises(RunError, match=r"metrics\.jsonl:2"):
        files.read_lines(path)


@pytest.mark.parametrize("text", ["", "{", "[1]", "\x00\xff", "[" * 100_000])
def test_what_is_not_a_json_object_is_an_error_that_names_the_file(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(RunError, match=r"run\.json"):
        files.read_json(path)


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.dump_json({"loss": float("nan")})


@pytest.mark.parametrize(
    "number", ["NaN", "-Infinity", "1e999", "1E400", "-2.5e+309", "1" * 400 + ".0"]
)
def test_a_number_that_no_float_holds_is_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"loss": 1.0}}\n{{"loss": {number}}}\n{{"loss": 2.0}}\n')
    with pytest.raises(RunError, match=r"metrics.jsonl:2: .* not a finite number"):
        files.read_lines(path)


@pytest.mark.parametrize("number", ["1e-320", "1.5e10", "1e+30", "0.1", "1E30"])
def test_a_number_with_an_exponent_is_read_to_the_bit(tmp_path: Path, number: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"loss": {number}}}\n')
    assert files.read_lines(path) == [{"loss": float(number)}]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text() | st.from_regex(r"[0-9a-f]{8}", fullmatch=True),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)  # fmt: skip


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_json_is_read_as_python_reads_it(
    tmp_path_factory: pytest.TempPathFactory, value: dict[str, Any]
) -> None:
    path = tmp_path_factory.mktemp("run") / "run.json"
    path.write_bytes(files.dump_json(value))
    assert repr(files.read_json(path)) == repr(json.loads(path.read_bytes()))


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(RunError, match=r"run\.json: not a plain file"):
        files.read_json(tmp_path / "run.json")


@pytest.mark.parametrize("line", ['{"a": 1},{"b": 2}', '{"a": [1}', "[1], [2]"])
def test_a_line_that_is_not_one_record_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"a": 0}}\n{line}\n{{"a": 2}}\n')
    with pytest.raises(RunError, match=r"metrics\.jsonl:2: not a JSON record"):
        files.read_lines(path)
