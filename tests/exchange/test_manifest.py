"""Manifests that `sha256sum -c` accepts, and what differs from them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.errors import RunError
from stillhouse.exchange import manifest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, content in {"a.txt": "one", "b/c d.txt": "two", "b/é.json": "", ".x": "3"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_sha256sum_accepts_it(folder: Path) -> None:
    assert set(manifest.write(folder)) == {".x", "a.txt", "b/c d.txt", "b/é.json"}
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", manifest.NAME], cwd=folder, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert manifest.verify(folder) == manifest.Check(4)


def test_every_difference_is_named(folder: Path) -> None:
    manifest.write(folder)
    (folder / "a.txt").write_text("One")
    (folder / "b" / "é.json").unlink()
    (folder / "new").write_text("")
    found = manifest.verify(folder)
    assert (found.changed, found.missing, found.unlisted) == (("a.txt",), ("b/é.json",), ("new",))
    assert not found.fine


@pytest.mark.parametrize("name", ["a%b", "a\nb", "a\\b", "a\rb"])
def test_names_that_tools_write_differently_are_refused(folder: Path, name: str) -> None:
    (folder / name).write_text("")
    with pytest.raises(RunError, match="rename") as found:
        manifest.write(folder)
    assert "rename" in str(found.value.hint)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("a.txt", path)])
def test_what_is_no_file_is_refused(folder: Path, make: object) -> None:
    assert callable(make)
    make(folder / "odd")
    with pytest.raises(RunError, match="neither a file nor a folder"):
        manifest.write(folder)


@pytest.mark.parametrize(
    "line",
    ["", "x", "0" * 64 + " a", "0" * 64 + "  /a", "0" * 64 + "  ../a", "0" * 64 + "  a//b",
     "0" * 63 + "  a", "g" * 64 + "  a", "0" * 64 + "  a\n" + "0" * 64 + "  a"],
)  # fmt: skip
def test_a_damaged_line_is_named(folder: Path, line: str) -> None:
    (folder / manifest.NAME).write_text(line + "\n")
    with pytest.raises(RunError, match=r"manifest-sha256.txt:\d+"):
        manifest.verify(folder)


PARTS = st.text("abcé .-", min_size=1).filter(lambda part: part not in (".", ".."))


@given(
    st.dictionaries(
        st.lists(PARTS, min_size=1, max_size=3).map("/".join),
        st.text("0123456789abcdef", min_size=64, max_size=64),
    )
)  # fmt: skip
def test_what_is_written_is_read(found: dict[str, str]) -> None:
    assert manifest.parse(manifest.text(found), "here") == found
