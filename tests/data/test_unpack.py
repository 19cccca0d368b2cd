from __future__ import annotations

import stat
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from stillhouse.data.unpack import unpack
from stillhouse.errors import DataError


def link() -> ZipInfo:
    member = ZipInfo("top/link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("/etc/stolen", "absolute"),
        ("C:/stolen", "another system"),
        ("top\\..\\stolen", "another system"),
        ("top/../../stolen", "climbs out"),
        ("../stolen", "climbs out"),
        ("stolen", "does not lie in top/"),
        (link(), "is a link"),
    ],
)
def test_unsafe_members_are_refused(tmp_path: Path, member: str | ZipInfo, reason: str) -> None:
    archive = tmp_path / "inner" / "a.zip"
    archive.parent.mkdir()
    with ZipFile(archive, "w") as file:
        file.writestr("top/good", "good")
        file.writestr(member, "../../stolen")
    with pytest.raises(DataError, match=reason):
        unpack(archive, "top")
    assert [path.name for path in tmp_path.rglob("*")] == ["inner", "a.zip"]


def test_the_folder_replaces_an_older_one(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with ZipFile(archive, "w") as file:
        file.writestr("top/new/file", "new")
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "old").write_text("old")
    assert unpack(archive, "top") == tmp_path / "top"
    assert (tmp_path / "top" / "new" / "file").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.zip", "top"]
    assert [path.name for path in (tmp_path / "top").iterdir()] == ["new"]
