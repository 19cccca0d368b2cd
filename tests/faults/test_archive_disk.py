"""The disk of an archive is full in the middle: nothing is lost, and the command goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake_rounds import RKD, Bench
from stillhouse.cli.main import app
from stillhouse.exchange.archive import Archive
from stillhouse.exchange.move import digests_of

BIG = 2 << 20
ROOM = 8 << 20  # for four of the eight runs


@pytest.fixture
def archive(bench: Bench) -> Iterator[Archive]:
    """A trained round whose `analysis/` is a small disk of its own."""
    bench.workspace.activate(bench.round, bench.file)
    bench.finish_all(90.0 for _ in bench.runs)
    for path in bench.runs:
        (bench.folder(path).path / "final.safetensors").write_bytes(os.urandom(BIG))
    place = bench.workspace.root / "analysis"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield Archive(bench.workspace, "tiny")
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def call(archive: Archive, *options: str) -> Exception | None:
    words = ["archive", "tiny", "--root", str(archive.workspace.root), *options]
    found = CliRunner().invoke(app, words).exception
    assert found is None or isinstance(found, Exception)
    return found


def leftovers(archive: Archive) -> list[Path]:
    return [path for path in archive.path.rglob(".*") if path.name != ".gitkeep"]


def test_a_disk_that_is_full_in_the_middle_of_the_move(archive: Archive) -> None:
    experiments = archive.workspace.experiments
    before = digests_of(experiments)
    failed = call(archive, "--no-analysis")
    assert isinstance(failed, OSError) and "No space left" in str(failed)
    assert digests_of(experiments) == before
    assert not archive.experiments.exists()
    assert leftovers(archive) == []

    grow = ["mount", "-o", "remount,size=64M", str(archive.path.parent)]
    subprocess.run(grow, check=True)
    assert call(archive, "--no-analysis") is None
    assert digests_of(archive.experiments) == before
    assert list(experiments.iterdir()) == []
    assert call(archive, "--verify") is None


def test_a_place_that_cannot_take_the_runs_back(archive: Archive) -> None:
    """`experiments/` is a disk of its own, too small; the archive stays whole."""
    subprocess.run(["mount", "-o", "remount,size=64M", str(archive.path.parent)], check=True)
    before = digests_of(archive.workspace.experiments)
    assert call(archive, "--no-analysis") is None
    home = archive.workspace.experiments
    home.rmdir()
    home.mkdir()
    small = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs", str(home)]
    subprocess.run(small, check=True)
    try:
        assert call(archive, "--restore") is not None
        assert digests_of(archive.experiments) == before
    finally:
        subprocess.run(["umount", "--lazy", str(home)], check=True)
    assert call(archive, "--restore") is None
    assert digests_of(home) == before
    assert (home / RKD / "0" / "result.json").is_file()
