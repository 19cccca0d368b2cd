"""SHA-256 manifests as `sha256sum -c` and BagIt (RFC 8493) read them: `DIGEST  PATH` per line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from stillhouse.errors import RunError
from stillhouse.runs.files import file_hash, read_bytes, write_atomic

NAME = "manifest-sha256.txt"
LIMIT = 1 << 28  # bytes of a manifest: about two million files
LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")
FORBIDDEN = re.compile(r"[\r\n%\\]")  # tools write these in different ways


@dataclass(frozen=True)
class Check:
    """How a folder differs from its manifest, as relative paths."""

    files: int
    missing: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Whether every listed file is there unchanged, and no other file."""
        return not (self.missing or self.changed or self.unlisted)


def files_below(folder: Path) -> Iterator[str]:
    """The relative paths of all files below a folder, sorted; the manifest at its top left out.

    Raises RunError for a link, a pipe or a device, and for a name that tools write differently.
    """
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RunError(f"{path}: neither a file nor a folder", "replace it by a copy")
        if path.is_dir() or name == NAME:
            continue
        if FORBIDDEN.search(name):
            raise RunError(f"{path}: a name with %, a backslash or a line break", "rename the file")
        yield name


def write(folder: Path, digests: Mapping[str, str] | None = None) -> dict[str, str]:
    """Write the manifest of all files below a folder; return it as path -> SHA-256.

    `digests` are known ones, which are not computed again.
    """
    known = digests or {}
    found = {name: known.get(name) or file_hash(folder / name) for name in files_below(folder)}
    write_atomic(folder / NAME, text(found).encode())
    return found


def text(digests: Mapping[str, str]) -> str:
    """The lines of a manifest."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items())


def parse(lines: str, where: str) -> dict[str, str]:
    """A manifest as path -> SHA-256. Raises RunError naming the line."""
    found: dict[str, str] = {}
    for number, line in enumerate(lines.splitlines(), start=1):
        match = LINE.fullmatch(line)
        if match is None or not _inside(match[2]) or match[2] in found:
            raise RunError(
                f"{where}:{number}: expected a SHA-256, two spaces and a relative path, once each",
                "restore the manifest",
            )
        found[match[2]] = match[1]
    return found


def verify(folder: Path) -> Check:
    """Compare a folder with its manifest. Raises RunError if there is none that can be read."""
    path = folder / NAME
    try:
        lines = read_bytes(path, LIMIT).decode()
    except UnicodeDecodeError:
        raise RunError(f"{path}: not UTF-8 text", "restore the manifest") from None
    listed, here = parse(lines, str(path)), set(files_below(folder))
    return Check(
        files=len(listed),
        missing=tuple(name for name in listed if name not in here),
        changed=tuple(
            name for name in listed if name in here and file_hash(folder / name) != listed[name]
        ),
        unlisted=tuple(sorted(here - set(listed))),
    )


def _inside(name: str) -> bool:
    """Whether a relative path stays below its folder."""
    return not name.startswith("/") and not {"", ".", ".."} & set(name.split("/"))
