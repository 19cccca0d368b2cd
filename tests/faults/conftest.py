"""An undisturbed round, and workspaces in which its teacher is done and its student is next."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from faults.scene import ONE, ROUND, TEACHER
from real_rounds import Desk

DISK = 24 << 20


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """The undisturbed round."""
    desk = Desk(tmp_path_factory.mktemp("whole"), **ROUND)
    done = desk.run(*ONE)
    assert done.returncode == 0, done.stdout + done.stderr
    return desk


@pytest.fixture(scope="session")
def sound(whole: Desk) -> dict[str, Any]:
    """What the undisturbed round ended in."""
    return whole.outcomes()


@pytest.fixture
def desk(whole: Desk, tmp_path: Path) -> Desk:
    """A workspace whose teacher is done."""
    return _taught(tmp_path / "w", whole)


@pytest.fixture
def disk(whole: Desk, tmp_path: Path) -> Iterator[Desk]:
    """The same on a small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield _taught(place, whole)
    while place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _taught(root: Path, whole: Desk) -> Desk:
    desk = Desk(root, **ROUND)
    experiments, source = desk.workspace.experiments, whole.workspace.experiments
    shutil.copytree(source / TEACHER, experiments / TEACHER)
    shutil.copy(source / "round.json", experiments / "round.json")
    return desk
