"""Archives that climb, link, explode or are torn leave nothing, or they are unpacked whole."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from damaged_files import clear, damaged, fuzz
from stillhouse.data.unpack import unpack
from stillhouse.errors import DataError

LIMIT = 1 << 20
GOOD = {f"top/{name}": name.encode() * 40 for name in ("a", "b", "inner/c", "inner/deep/d")}
NAMES = (
    *("../stolen", "top/../../stolen", "/tmp/stolen", "//stolen", "top\\..\\..\\stolen", "C:/x"),
    *(
        "top/../stolen",
        "stolen",
        "./top/../../stolen",
        "top",
        "top/a",
        "top/a/b",
        "",
        ".",
        "top/\0",
    ),
    *("top/" + "x" * 300, "top/" + "d/" * 200 + "x", "top/é\u202e", "TOP/a", "top/.", "top/./e"),
    *("~/stolen", "top/~", "top/CON", "top/a:stream", "top/\ud800"[:4]),
)
KINDS = ("file", "folder", "link", "hard link", "device", "pipe", "bomb", "huge", "many")


@dataclass(frozen=True)
class Entry:
    """A member of an archive, and what it claims to be."""

    name: str
    content: bytes = b"x"
    kind: str = "file"


def entries(random: Random) -> Iterator[Entry]:
    """Sound members, and among them up to two that are not."""
    found = [Entry(name, content) for name, content in GOOD.items()]
    for _ in range(random.choice((0, 1, 1, 2))):
        bad = Entry(random.choice((*NAMES, "top/e")), kind=random.choice(KINDS))
        found.insert(random.randrange(len(found) + 1), bad)
    for entry in found:
        if entry.kind == "bomb":
            yield replace(entry, content=bytes(2 * LIMIT), kind="file")
        elif entry.kind == "many":
            yield from (Entry(f"top/many/{n}", bytes(LIMIT // 64)) for n in range(80))
        else:
            yield entry


def zipped(random: Random) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as file:
        for entry in entries(random):
            info = ZipInfo(entry.name)
            info.compress_type = ZIP_DEFLATED
            mode = {"link": stat.S_IFLNK, "device": stat.S_IFCHR, "pipe": stat.S_IFIFO}
            info.external_attr = (mode.get(entry.kind, stat.S_IFREG) | 0o4777) << 16
            if entry.name not in file.NameToInfo:
                file.writestr(info, b"/etc/passwd" if entry.kind == "link" else entry.content)
    return lying(random, buffer.getvalue())


def lying(random: Random, content: bytes) -> bytes:
    """Sometimes the directory of a zip claims another size for its members."""
    if random.random() < 0.8:
        return content
    data = bytearray(content)
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 24 : at + 28] = random.randbytes(4)
    return bytes(data)


def tarred(random: Random) -> bytes:
    buffer = io.BytesIO()
    types = {
        "folder": tarfile.DIRTYPE,
        "link": tarfile.SYMTYPE,
        "hard link": tarfile.LNKTYPE,
        "device": tarfile.CHRTYPE,
        "pipe": tarfile.FIFOTYPE,
    }
    with tarfile.open(fileobj=buffer, mode="w:gz", format=tarfile.PAX_FORMAT) as file:
        for entry in entries(random):
            info = tarfile.TarInfo(entry.name.replace("\0", ""))
            info.mode, info.type = 0o4777, types.get(entry.kind, tarfile.REGTYPE)
            info.linkname = random.choice(("/etc/passwd", "../..", "top/a"))
            info.size = len(entry.content) if info.isreg() else 0
            if entry.kind == "huge":
                info.size = 1 << 40
                file.fileobj.write(info.tobuf(tarfile.GNU_FORMAT))  # type: ignore[union-attr]
            else:
                file.addfile(info, io.BytesIO(entry.content))
    return buffer.getvalue()


def bomb(random: Random) -> bytes:
    """A gzip stream of nothing but a header's or a file's worth of zeros, many times over."""
    return gzip.compress(random.choice((b"\0", b"x")) * (4 * LIMIT))


@pytest.mark.parametrize("suffix", ["zip", "tar.gz"])
def test_archives(suffix: str, tmp_path: Path, pytestconfig: pytest.Config) -> None:
    home = tmp_path / "outer" / "home"
    home.mkdir(parents=True)
    archive = home / f"archive.{suffix}"

    def case(random: Random) -> str:
        content = zipped(random) if suffix == "zip" else tarred(random)
        if random.random() < 0.4:
            content = damaged(random, content, bomb(random))
        archive.write_bytes(content)
        try:
            unpack(archive, "top", LIMIT)
        except DataError as error:
            found = {path.relative_to(tmp_path) for path in tmp_path.rglob("*")}
            assert found == {Path("outer"), Path("outer/home"), archive.relative_to(tmp_path)}
            return clear(error, archive)
        top = home / "top"
        made = [path for path in tmp_path.rglob("*") if not path.is_relative_to(top)]
        assert sorted(made) == [tmp_path / "outer", home, archive]
        assert all(path.is_dir() or path.is_file() for path in top.rglob("*"))
        assert not any(path.is_symlink() for path in top.rglob("*"))
        files = {str(p.relative_to(home)): p for p in top.rglob("*") if p.is_file()}
        assert sum(path.stat().st_size for path in files.values()) <= LIMIT
        assert all(not path.stat().st_mode & 0o7000 for path in files.values())
        whole = all(name in files and files[name].read_bytes() == GOOD[name] for name in GOOD)
        remove(top)
        assert whole, "a file is missing or was unpacked with other bytes"
        return "correct"

    fuzz(pytestconfig, suffix, 60, case)


def remove(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()
