"""Unpack an archive from an untrusted source."""

from __future__ import annotations

import gzip
import lzma
import os
import struct
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from stat import S_ISLNK
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from stillhouse.errors import DataError

MAX_BYTES = 1 << 30
MAX_MEMBERS = 200_000
CURE = "remove the archive and fetch it again"
DAMAGED = (
    *(OSError, EOFError, ValueError, RuntimeError, struct.error),
    *(BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError),
)


def unpack(archive: Path, folder: str, limit: int = MAX_BYTES) -> Path:
    """Unpack a .zip or .tar.gz whose members are all in `folder`; it appears beside it, complete.

    Only files and folders are created. Raises DataError, and leaves nothing, if the archive is
    damaged, has more than `limit` bytes, or has another kind of member or one outside `folder`.
    """
    target = archive.parent / folder
    # Unpacked next to the target and renamed: a kill leaves no partial dataset.
    with TemporaryDirectory(prefix=".unpack-", dir=archive.parent) as name:
        work = Path(name)
        try:
            (_unzip if archive.suffix == ".zip" else _untar)(archive, work, folder, limit)
            if not (work / folder).is_dir():
                raise DataError(f"{archive}: has no folder {folder}", CURE)
            if target.exists():
                os.replace(target, work / "replaced")
            os.replace(work / folder, target)
        except DAMAGED as error:
            raise DataError(f"{archive}: could not be unpacked ({error})", CURE) from error
    return target


def _unzip(archive: Path, work: Path, folder: str, limit: int) -> None:
    with ZipFile(archive) as file:
        members = (
            (m.filename, m.file_size, not S_ISLNK(m.external_attr >> 16)) for m in file.infolist()
        )
        _check(archive, members, folder, limit)
        file.extractall(work)


def _untar(archive: Path, work: Path, folder: str, limit: int) -> None:
    with gzip.open(archive) as raw, tarfile.open(fileobj=raw, mode="r:") as file:
        _check(archive, ((m.name, m.size, m.isreg() or m.isdir()) for m in file), folder, limit)
        file.extraction_filter = getattr(tarfile, "data_filter", None)  # from Python 3.11.4 on
        file.extractall(work)
        while raw.read(1 << 16):  # read to the end, which has gzip's checksum
            pass


def _check(
    archive: Path, members: Iterable[tuple[str, int, bool]], folder: str, limit: int
) -> None:
    """Raise DataError for the first (name, size, file or folder) that must not be unpacked."""
    total, seen = 0, set[PurePosixPath]()
    for name, size, plain in members:
        path = PurePosixPath(name)
        total += size
        if "\\" in name or ":" in name or ".." in path.parts or path.parts[:1] != (folder,):
            raise DataError(f"{archive}: not unpacked: {name!r} is not in {folder}/", CURE)
        if not plain or path in seen:
            what = "occurs twice" if plain else "is neither a file nor a folder"
            raise DataError(f"{archive}: not unpacked: {name!r} {what}", CURE)
        seen.add(path)
        if total > limit or len(seen) > MAX_MEMBERS:
            bounds = f"{limit:,} bytes or {MAX_MEMBERS:,} members"
            raise DataError(f"{archive}: not unpacked: it has more than {bounds}", CURE)
