from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from stillhouse.errors import Notice
from stillhouse.runs import index
from stillhouse.runs.index import Cache, Index, stamp


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def written(file: Path, text: str, ago: float = 60.0) -> Path:
    """A file that was changed `ago` seconds ago."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    os.utime(file, (time.time() - ago,) * 2)
    return file


def kept(experiments: Path, file: Path) -> Index:
    known = Index(experiments)
    known.put(file.parent, [stamp(file)], {"accuracy": 90})
    known.save()
    return Index(experiments)


def test_what_was_read_is_known_until_the_file_changes(tmp_path: Path) -> None:
    file = written(tmp_path / "run" / "result.json", "90")
    assert kept(tmp_path, file).get(file.parent, [stamp(file)]) == {"accuracy": 90}
    written(file, "91")
    assert Index(tmp_path).get(file.parent, [stamp(file)]) is None
    file.unlink()
    assert Index(tmp_path).get(file.parent, [stamp(file)]) is None


def test_an_equal_file_in_its_place_is_another_one(tmp_path: Path) -> None:
    file = written(tmp_path / "run" / "result.json", "90")
    known, times = kept(tmp_path, file), file.stat()
    other = written(tmp_path / "other", "80")
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(file)
    assert known.get(file.parent, [stamp(file)]) is None


def test_a_file_that_has_only_just_changed_is_not_kept(tmp_path: Path) -> None:
    """It could change again within the same tick of its time."""
    file = written(tmp_path / "run" / "result.json", "90", ago=0.0)
    assert kept(tmp_path, file).get(file.parent, [stamp(file)]) is None


def test_another_version_of_the_code_reads_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path / "run" / "result.json", "90")
    kept(tmp_path, file)
    monkeypatch.setattr(index, "source", lambda: "another")
    assert Index(tmp_path).get(file.parent, [stamp(file)]) is None


@pytest.mark.parametrize("text", ["{", "[]", '{"content": 3}', "\x00", "[" * 100_000])
def test_a_damaged_file_counts_as_empty(tmp_path: Path, text: str) -> None:
    Cache("index", "there").save({"a": 1})
    (file,) = (Path(os.environ["STILLHOUSE_CACHE"]) / "index").iterdir()
    file.write_text(text)
    assert Cache("index", "there").load() is None


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path, cache: Path) -> None:
    cache.write_text("no folder")
    with pytest.warns(Notice, match="STILLHOUSE_CACHE"):
        Cache("index", "there").save({})


def test_files_that_nobody_uses_are_removed(cache: Path) -> None:
    old = written(cache / "index" / "old.json", "{}", ago=index.UNUSED_SECONDS + 60)
    new = written(cache / "index" / "new.json", "{}", ago=60)
    Cache("index", "there").save({})
    assert (old.exists(), new.exists()) == (False, True)
