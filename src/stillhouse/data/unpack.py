"""Unpacking an archive that comes from elsewhere."""

from __future__ import annotations

import gzip
import lzma
import os
import shutil
import stat
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from stillhouse.errors import DataError

MAX_BYTES = 1 << 30
MAX_MEMBERS = 200_000
CURE = "remove the archive and fetch it again"
DAMAGED = (
    *(OSError, EOFError, ValueError, RuntimeError, struct.error),
    *(BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
)


@dataclass(frozen=True)
class Member:
    """A file (its `content`) or a folder (None) in an archive; `fault` says why it is neither."""

    name: str
    size: int
    content: IO[bytes] | None
    fault: str = ""


def unpack(archive: Path, folder: str, limit: int = MAX_BYTES) -> Path:
    """Unpack a .zip or .tar.gz whose members all lie in `folder`, which appears beside it, whole.

    Only files and folders are made. Raises DataError, and leaves nothing, if the archive is
    damaged, has more than `limit` bytes, or a member is something else or would lie elsewhere.
    """
    target = archive.parent / folder
    # Unpacked next to the target and renamed: a kill on the way leaves no half a dataset.
    work = Path(mkdtemp(prefix=".unpack-", dir=archive.parent))
    try:
        _extract(archive, work, folder, limit)
        if not (work / folder).is_dir():
            raise DataError(f"{archive}: has no folder {folder}", CURE)
        if target.exists():
            os.replace(target, work / "replaced")
        os.replace(work / folder, target)
    except DAMAGED as error:
        raise DataError(f"{archive}: could not be unpacked ({error})", CURE) from error
    finally:
        shutil.rmtree(work)
    return target


def _extract(archive: Path, work: Path, folder: str, limit: int) -> None:
    members = _zipped if archive.suffix == ".zip" else _tarred
    total = 0
    for number, member in enumerate(members(archive, limit)):
        total += member.size
        if problem := _problem(member, folder):
            raise DataError(f"{archive}: refused, for its member {member.name!r} {problem}", CURE)
        if total > limit or number >= MAX_MEMBERS:
            raise DataError(
                f"{archive}: refused, for it unpacks to more than {limit:,} bytes or "
                f"{MAX_MEMBERS:,} members",
                CURE,
            )
        path = work / member.name
        if member.content is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                shutil.copyfileobj(member.content, file)


def _problem(member: Member, folder: str) -> str:
    path = PurePosixPath(member.name)
    if path.is_absolute() or "\\" in member.name or ":" in member.name:
        return "has an absolute path or one of another system"
    if ".." in path.parts:
        return "climbs out of its folder"
    if path.parts[:1] != (folder,):
        return f"does not lie in {folder}/"
    return member.fault


def _zipped(archive: Path, limit: int) -> Iterator[Member]:
    with ZipFile(archive) as file:
        for info in file.infolist():
            if fault := _zip_fault(info):
                yield Member(info.filename, 0, None, fault)
            elif info.filename.endswith("/"):
                yield Member(info.filename, 0, None)
            else:
                with file.open(info) as content:
                    yield Member(info.filename, info.file_size, content)


def _zip_fault(info: ZipInfo) -> str:
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link"
    if info.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return "is compressed in an unusual way"
    return ""


def _tarred(archive: Path, limit: int) -> Iterator[Member]:
    with _Bounded(archive, limit) as raw, tarfile.open(fileobj=raw, mode="r|") as file:
        for info in file:
            if info.isreg():
                yield Member(info.name, info.size, file.extractfile(info))
            else:
                yield Member(info.name, 0, None, "" if info.isdir() else "is a link or a device")
        while raw.read(1 << 16):  # to its end, where gzip's checksum is
            pass


class _Bounded(gzip.GzipFile):
    """A stream that refuses to give more than `limit` bytes, as a bomb of zeros would."""

    def __init__(self, archive: Path, limit: int) -> None:
        super().__init__(archive)
        self.left = limit

    def read(self, size: int | None = -1) -> bytes:
        """At most `size` bytes. Raises ValueError once the limit is passed."""
        data = super().read(size)
        self.left -= len(data)
        if self.left < 0:
            raise ValueError("it is too large")
        return data
