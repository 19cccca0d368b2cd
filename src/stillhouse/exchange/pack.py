"""An archived round as one portable file: a BagIt bag (RFC 8493) in `NAME.tar.zst`."""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import IO, Any

from stillhouse.errors import ConfigError, RunError
from stillhouse.exchange import manifest
from stillhouse.exchange.archive import Archive, check
from stillhouse.rounds.workspace import TRASH, Workspace
from stillhouse.runs.files import sweep, sync_folder, temporary
from stillhouse.runs.records import RESULT, Result

SUFFIX = ".tar.zst"
WEIGHTS = ("final.safetensors", "best.safetensors", "checkpoint.pt")
BAGIT = "BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"
MAX_FILES = 10**6
MAX_BYTES = 1 << 40
MAX_RECORD = 1 << 26
CHUNK = 1 << 20


def pack(archive: Archive, target: Path, weights: bool = True) -> int:
    """Write an archive into one file; return how many of its files are in it.

    `weights`: False leaves out weights and checkpoints. Raises RunError if the archive differs
    from its manifest, and ConfigError if zstd is not installed.
    """
    check(archive)
    listed = manifest.parse((archive.path / manifest.NAME).read_text("utf-8"), manifest.NAME)
    chosen = {
        name: digest
        for name, digest in listed.items()
        if weights or PurePosixPath(name).name not in WEIGHTS
    }
    sweep(target.parent)
    partial = temporary(target)
    try:
        with _writer(partial) as bag:
            _write_bag(bag, archive, chosen)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(target.parent)
    return len(chosen)


def unpack(file: Path, workspace: Workspace) -> Archive:
    """Unpack a bag below `analysis/` of a workspace, verified, whole or not at all.

    Raises RunError for a name outside its folder, for anything but files and folders, for files
    that differ from the manifest, and if the round is there already.
    """
    target: Path | None = None
    partial: Path | None = None
    digests: dict[str, str] = {}
    expected = ""
    try:
        for name, content in read_pack(file):
            bag, _, inside = name.partition("/")
            if target is None:
                target = _target(workspace, bag)
                sweep(target.parent)
                partial = temporary(target)
            if inside == manifest.NAME:
                expected = content.read().decode()
            if partial and inside.startswith("data/"):
                digests[inside] = _save(content, partial / inside.removeprefix("data/"))
        if target is None or partial is None or not digests:
            raise RunError(f"{file} holds no archived round", "pack it again")
        if (wrong := _difference(manifest.parse(expected, manifest.NAME), digests)) is not None:
            raise RunError(f"{file}: {wrong} is not as its manifest says", "fetch the file again")
        os.rename(partial, target)
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    sync_folder(target.parent)
    return Archive(workspace, target.name.removeprefix("experiment_"))


def read_pack(file: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Every file of a bag with its name, in the order of the pack, without unpacking it.

    Raises RunError for a damaged pack, and for what no pack holds: links and devices, absolute
    names and such with `..`, names that come twice, several folders at the top.
    """
    seen: set[str] = set()
    size = 0
    with _reader(file) as bag:
        for member in bag:
            name = member.name
            parts = PurePosixPath(name).parts
            size += member.size
            odd = not (member.isfile() or member.isdir()) or ".." in parts or name.startswith("/")
            if odd or name in seen or len(seen) >= MAX_FILES or size > MAX_BYTES:
                raise RunError(f"{file}: no bag of a round holds {name!r}", "fetch it again")
            if seen and parts[0] != PurePosixPath(next(iter(seen))).parts[0]:
                raise RunError(f"{file}: {name!r} lies outside the bag's folder", "fetch it again")
            seen.add(name)
            if member.isfile() and (content := bag.extractfile(member)) is not None:
                yield name, content


def _write_bag(bag: tarfile.TarFile, archive: Archive, chosen: Mapping[str, str]) -> None:
    """Tag files first, so that a reader has the manifest before the data."""
    top = f"experiment_{archive.name}"
    inner = manifest.text(chosen)
    payload = {f"data/{name}": digest for name, digest in chosen.items()}
    payload[f"data/{manifest.NAME}"] = sha256(inner.encode()).hexdigest()
    size = sum((archive.path / name).stat().st_size for name in chosen) + len(inner.encode())
    tags = {
        "bagit.txt": BAGIT,
        "bag-info.txt": f"External-Identifier: {archive.name}\n"
        f"Payload-Oxum: {size}.{len(payload)}\n",
        manifest.NAME: manifest.text(dict(sorted(payload.items()))),
    }
    hashes = {name: sha256(text.encode()).hexdigest() for name, text in tags.items()}
    tags["tagmanifest-sha256.txt"] = manifest.text(hashes)
    for name, text in tags.items():
        _add(bag, f"{top}/{name}", io.BytesIO(text.encode()), len(text.encode()))
    _add(bag, f"{top}/data/{manifest.NAME}", io.BytesIO(inner.encode()), len(inner.encode()))
    for name in sorted(chosen):
        with (archive.path / name).open("rb") as content:
            _add(bag, f"{top}/data/{name}", content, (archive.path / name).stat().st_size)


def _add(bag: tarfile.TarFile, name: str, content: IO[bytes], size: int) -> None:
    """Add a file without the owner and the time of this machine."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    bag.addfile(member, content)


def _save(content: IO[bytes], target: Path) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = sha256()
    with target.open("xb") as file:
        while chunk := content.read(CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _difference(expected: Mapping[str, str], found: Mapping[str, str]) -> str | None:
    names = sorted(set(expected) | set(found))
    return next((name for name in names if expected.get(name) != found.get(name)), None)


def _target(workspace: Workspace, bag: str) -> Path:
    target = workspace.root / "analysis" / bag
    if not bag.startswith("experiment_"):
        raise RunError(f"{bag!r} is not the folder of an archived round", "pack it again")
    if target.exists():
        raise RunError(f"{target} exists", "move it away, or choose another workspace with --root")
    return target


def _zstd() -> Any:
    """The zstd module of Python 3.14, or its backport. Raises ConfigError if there is neither."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    raise ConfigError("packing needs zstd", "pip install 'stillhouse[archive]', or use Python 3.14")


@contextmanager
def _writer(file: Path) -> Iterator[tarfile.TarFile]:
    zstd = _zstd()
    with (
        file.open("xb") as raw,
        zstd.open(raw, "wb") as stream,
        tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as bag,
    ):
        yield bag


@contextmanager
def _reader(file: Path) -> Iterator[tarfile.TarFile]:
    zstd = _zstd()
    try:
        with (
            file.open("rb") as raw,
            zstd.open(raw, "rb") as stream,
            tarfile.open(fileobj=stream, mode="r|") as bag,
        ):
            yield bag
    except (tarfile.TarError, EOFError, zstd.ZstdError) as error:
        raise RunError(f"{file}: damaged, or no packed round ({error})", "fetch it again") from None


def results_in(file: Path) -> dict[str, Result]:
    """The results of all completed runs of a packed round, by path, without unpacking it."""
    found: dict[str, Result] = {}
    for name, content in read_pack(file):
        _, inside, rest = name.partition("/data/experiments/")
        run, end, _ = rest.rpartition("/result.json")
        if inside and end and not {"attempts", TRASH} & set(run.split("/")):
            try:
                record = json.loads(content.read(MAX_RECORD))
            except ValueError as error:
                raise RunError(f"{file}: {name} is not JSON ({error})", "fetch it again") from None
            found[run] = RESULT.check(record, f"{file}: {name}")
    return found
