"""A packed round is a valid bag, and nothing in it gets out of its folder."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any

import bagit
import pytest

from fake_rounds import Bench
from stillhouse.errors import RunError
from stillhouse.exchange.archive import Archive, check, move_in, restore, seal, write_material
from stillhouse.exchange.move import digests_of
from stillhouse.exchange.pack import _zstd, pack, read_pack, unpack
from stillhouse.rounds.workspace import Workspace

zstd = _zstd()


@pytest.fixture
def archive(bench: Bench) -> Archive:
    bench.workspace.activate(bench.round, bench.file)
    bench.finish_all(90.0 for _ in bench.runs)
    for path in bench.runs:
        (bench.folder(path).path / "final.safetensors").write_bytes(path.encode())
    found = Archive(bench.workspace, "tiny")
    write_material(found, bench.file, ())
    move_in(found)
    seal(found)
    return found


@pytest.fixture
def packed(archive: Archive, tmp_path: Path) -> Path:
    file = tmp_path / "tiny.tar.zst"
    pack(archive, file)
    return file


def hand_made(file: Path, *members: tarfile.TarInfo) -> Path:
    with zstd.open(file, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as bag:
        for member in members:
            bag.addfile(member, io.BytesIO(bytes(member.size)))
    return file


def member(name: str, **facts: Any) -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    for key, value in facts.items():
        setattr(found, key, value)
    return found


def test_the_library_of_congress_accepts_the_bag(packed: Path, tmp_path: Path) -> None:
    with zstd.open(packed, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as bag:
        bag.extractall(tmp_path / "bag", filter="data")
    assert bagit.Bag(str(tmp_path / "bag" / "experiment_tiny")).validate()


def test_unpacked_elsewhere_it_is_the_same_archive(
    packed: Path, archive: Archive, tmp_path: Path
) -> None:
    there = unpack(packed, Workspace(tmp_path / "there"))
    assert digests_of(there.path) == digests_of(archive.path)
    assert check(there).fine
    restore(there)
    assert there.workspace.active() is not None
    assert [one.name for one in (tmp_path / "there" / "analysis").iterdir()] == ["experiment_tiny"]


def test_the_same_archive_gives_the_same_bytes(
    packed: Path, archive: Archive, tmp_path: Path
) -> None:
    pack(archive, tmp_path / "again.tar.zst")
    assert (tmp_path / "again.tar.zst").read_bytes() == packed.read_bytes()


def test_without_weights_it_is_still_a_valid_archive(archive: Archive, tmp_path: Path) -> None:
    pack(archive, tmp_path / "small.tar.zst", weights=False)
    there = unpack(tmp_path / "small.tar.zst", Workspace(tmp_path / "there"))
    assert check(there).fine
    assert not list(there.path.rglob("*.safetensors"))
    assert list(there.path.rglob("result.json"))


def test_an_archive_that_was_changed_is_not_packed(archive: Archive, tmp_path: Path) -> None:
    (archive.path / "commands.txt").write_text("other")
    with pytest.raises(RunError, match="changed"):
        pack(archive, tmp_path / "bad.tar.zst")
    assert not list(tmp_path.glob("*bad*"))


def test_a_round_that_is_there_is_not_overwritten(packed: Path, archive: Archive) -> None:
    before = digests_of(archive.path)
    with pytest.raises(RunError, match="exists"):
        unpack(packed, archive.workspace)
    assert digests_of(archive.path) == before


@pytest.mark.parametrize(
    "bad",
    [
        member("../out"),
        member("/out"),
        member("experiment_x/data/../../../../out"),
        member("experiment_x/data/a", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        member("experiment_x/data/a", type=tarfile.LNKTYPE, linkname="experiment_x/b"),
        member("experiment_x/data/a", type=tarfile.FIFOTYPE),
        member("experiment_y/data/a"),
        member("experiment_x/data/fine"),
    ],
    ids=lambda found: f"{found.name} {found.type!r}",
)
def test_what_no_bag_holds_is_refused_and_nothing_is_written(
    tmp_path: Path, bad: tarfile.TarInfo
) -> None:
    fine = ("bagit.txt", "manifest-sha256.txt", "data/fine")
    members = [member(f"experiment_x/{name}") for name in fine]
    file = hand_made(tmp_path / "bad.tar.zst", *members, bad)
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(RunError, match=r"no bag of a round holds|outside the bag's folder"):
        unpack(file, Workspace(root))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


@pytest.mark.parametrize("cut", [0.0, 0.3, 0.9])
def test_a_damaged_pack_leaves_nothing(packed: Path, tmp_path: Path, cut: float) -> None:
    content = packed.read_bytes()
    packed.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(RunError):
        unpack(packed, Workspace(tmp_path / "there"))
    assert not [path for path in (tmp_path / "there").rglob("*") if path.is_file()]


def test_other_bytes_than_the_manifest_says_are_refused(packed: Path, tmp_path: Path) -> None:
    with zstd.open(packed, "rb") as stream, tarfile.open(fileobj=stream, mode="r|") as bag:
        bag.extractall(tmp_path / "bag", filter="data")
    (tmp_path / "bag" / "experiment_tiny" / "data" / "commands.txt").write_text("other")
    other = tmp_path / "other.tar.zst"
    with zstd.open(other, "wb") as stream, tarfile.open(fileobj=stream, mode="w|") as bag:
        bag.add(tmp_path / "bag" / "experiment_tiny", "experiment_tiny")
    with pytest.raises(RunError, match=r"data/commands\.txt is not as its manifest says"):
        unpack(other, Workspace(tmp_path / "there"))


def test_it_is_read_without_being_unpacked(packed: Path) -> None:
    names = [name for name, _ in read_pack(packed)]
    assert names[0] == "experiment_tiny/bagit.txt"
    assert sum(name.endswith("result.json") for name in names) == 8
