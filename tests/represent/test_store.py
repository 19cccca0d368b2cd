from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from stillhouse.errors import RunError
from stillhouse.represent.store import (
    Header,
    Representations,
    Rows,
    check_same_rows,
    read,
    read_header,
    rows_hash,
    write,
)


def rows(count: int, seed: int) -> Rows:
    draws = np.random.default_rng(seed)
    layers = {
        name: draws.normal(size=(count, width)).astype(np.float32)
        for name, width in (("b_first", 3), ("a_second", 5))
    }
    logits = draws.normal(size=(count, 4)).astype(np.float32)
    return Rows(layers, logits, draws.integers(0, 4, count), np.arange(count))


def stored(run: str = "Digits/pure/ResNetBaby/0", seed: int = 0) -> Representations:
    test, train = rows(7, seed), rows(9, seed + 1)
    header = Header(
        run=run,
        dataset="Digits",
        data="a" * 64,
        sha256="b" * 64,
        weights="final",
        epoch=3,
        rows=rows_hash(test, train),
        code="1.0",
        device="cpu",
    )
    return Representations(header, test, train)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "representations.safetensors"


def changed(path: Path, header: dict[str, Any] | None = None, **tensors: Any) -> None:
    """Write the file again with some tensors and header fields replaced; None leaves one out."""
    content = load_file(path)
    metadata = read_metadata(path) | (header or {})
    content |= {name.replace("_", "/", 1): value for name, value in tensors.items()}
    kept = {name: value for name, value in content.items() if value is not None}
    save_file(kept, path, {"header": json.dumps(metadata)})


def read_metadata(path: Path) -> dict[str, Any]:
    raw = path.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    found: dict[str, Any] = json.loads(json.loads(raw[8 : 8 + size])["__metadata__"]["header"])
    return found


def test_what_is_written_is_read(path: Path) -> None:
    given = stored()
    write(path, given)
    found = read(path)
    assert found.header == given.header == read_header(path)
    assert found.layers == ("b_first", "a_second")
    for split in ("test", "train"):
        ours, theirs = getattr(found, split).tensors(), getattr(given, split).tensors()
        assert list(ours) == list(theirs)
        for name, values in ours.items():
            assert values.dtype == theirs[name].dtype
            np.testing.assert_array_equal(values, theirs[name])
    assert read_metadata(path)["format"] == 1


def test_arrays_are_views_of_the_file_and_cannot_be_written(path: Path) -> None:
    write(path, stored())
    array = read(path).test.layers["a_second"]
    assert not array.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_the_same_content_gives_the_same_bytes(path: Path) -> None:
    write(path, stored())
    first = path.read_bytes()
    write(path, stored())
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({"test_a_second": np.zeros((7, 5), np.float16)}, "test/a_second is F16, expected F32"),
        ({"train_labels": np.zeros(9, np.int32)}, "train/labels is I32"),
        ({"test_b_first": None}, "test/b_first is missing"),
        ({"test_other": np.zeros((7, 2), np.float32)}, "test/other"),
        ({"test_logits": np.zeros((6, 4), np.float32)}, "test/logits"),
        ({"train_ids": np.zeros((9, 1), np.int64)}, "train/"),
        ({"header": {"sha256": "short"}}, "'sha256'"),
        ({"header": {"epoch": "3"}}, "'epoch'"),
        ({"header": {"layers": []}}, "'layers'"),
        ({"header": {"format": 2}}, "newer stillhouse"),
        ({"header": {"format": "x"}}, "not written by"),
    ],
)
def test_a_file_that_is_not_as_written_is_refused(
    path: Path, fault: dict[str, Any], named: str
) -> None:
    write(path, stored())
    changed(path, **fault)
    with pytest.raises(RunError) as error:
        read(path)
    assert named in error.value.message
    assert str(path) in error.value.message
    assert error.value.hint


def test_missing_cut_off_and_foreign_files_are_refused(path: Path) -> None:
    with pytest.raises(RunError, match="is not there"):
        read(path)
    write(path, stored())
    whole = path.read_bytes()
    for content in (b"", whole[:5], whole[:200], whole[:-1], b"{}" * 40):
        path.write_bytes(content)
        with pytest.raises(RunError, match="not a whole safetensors file"):
            read(path)
    save_file({"test/layer1": np.zeros((3, 2), np.float32)}, path)
    with pytest.raises(RunError, match="not written by"):
        read_header(path)


def test_other_rows_are_not_compared() -> None:
    first, same = stored().header, stored("Digits/pure/ResNetBaby/1").header
    check_same_rows([first, same])
    for other in (replace(same, rows="c" * 64), replace(same, data="d" * 64)):
        with pytest.raises(RunError) as error:
            check_same_rows([first, same, other])
        assert first.run in error.value.message


def test_rows_are_told_apart_by_their_ids_and_their_labels() -> None:
    test, train = rows(7, 0), rows(9, 1)
    relabelled = replace(test, labels=(test.labels + 1) % 4)
    renumbered = replace(test, ids=test.ids + 1)
    hashes = {rows_hash(one, train) for one in (test, relabelled, renumbered)}
    assert len(hashes) == 3
    assert rows_hash(replace(test, logits=test.logits * 2), train) in hashes
