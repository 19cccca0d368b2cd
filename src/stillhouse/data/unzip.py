"""Unpacking an archive that comes from elsewhere."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path, PurePosixPath
from tempfile import mkdtemp
from zipfile import ZipFile, ZipInfo

from stillhouse.errors import DataError


def unzip(archive: Path, folder: str) -> Path:
    """Unpack an archive whose members all lie in `folder`; the folder appears beside it, whole.

    Raises DataError, and writes nothing, if a member is a link or would lie elsewhere.
    """
    target = archive.parent / folder
    with ZipFile(archive) as file:
        for member in file.infolist():
            if problem := _problem(member, folder):
                raise DataError(
                    f"{archive}: refused, for its member {member.filename!r} {problem}",
                    "remove the archive and fetch it again",
                )
        # Unpacked next to the target and renamed: a kill on the way leaves no half a dataset.
        work = Path(mkdtemp(prefix=".unzip-", dir=archive.parent))
        try:
            file.extractall(work)
            if target.exists():
                os.replace(target, work / "replaced")
            os.replace(work / folder, target)
        finally:
            shutil.rmtree(work)
    return target


def _problem(member: ZipInfo, folder: str) -> str:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or "\\" in member.filename or ":" in member.filename:
        return "has an absolute path or one of another system"
    if ".." in path.parts:
        return "climbs out of its folder"
    if path.parts[:1] != (folder,):
        return f"does not lie in {folder}/"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a link"
    return ""
