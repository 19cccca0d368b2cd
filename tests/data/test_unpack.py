from __future__ import annotations

import re
import stat
import tarfile
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from stillhouse.data.unpack import unpack
from stillhouse.errors import DataError


@pytest.mark.parametrize(
    "member",
    ["/etc/stolen", "C:/stolen", "top\\..\\stolen", "top/../../stolen", "../stolen", "stolen"],
)
def test_unsafe_members_are_refused(tmp_path: Path, member: str) -> None:
    archive = tmp_path / "inner" / "a.zip"
    archive.parent.mkdir()
    with ZipFile(archive, "w") as file:
        file.writestr("top/good", "good")
        file.writestr(member, "../../stolen")
    with pytest.raises(DataError, match=re.escape(repr(member))):
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


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    member = ZipInfo("top/link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(member, "../../stolen")
    with pytest.raises(DataError, match="'top/link' is neither a file nor a folder"):
        unpack(tmp_path / "a.zip", "top")


def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar.gz"
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE):
        with tarfile.open(archive, "w:gz") as file:
            member = tarfile.TarInfo("top/odd")
            member.type, member.linkname = kind, "/etc/passwd"
            file.addfile(member)
        with pytest.raises(DataError, match="'top/odd' is neither a file nor a folder"):
            unpack(archive, "top")
        assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]
