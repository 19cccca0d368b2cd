"""Disks that fill up or turn read-only, folders without permission, and folders that vanish.

Each fault ends in a named state with a reason and a cure, what was there stays as it was, and once
the fault is gone the same command ends the round, bit for bit as if nothing had been. Disks are
small tmpfs mounts, for which root is needed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from faults.moments.sitecustomize import aside, fill
from faults.scene import (
    CHECKPOINT,
    CLAIM,
    METRICS,
    ONE,
    RENAMING,
    RESULT,
    RUN,
    STATUS,
    STUDENT,
    TEACHER,
    WEIGHTS,
    Moment,
    causes,
    ended,
    finishes,
    reason,
    run_until,
    said,
    snapshot,
)
from real_rounds import Desk

pytestmark = [pytest.mark.slow, pytest.mark.long]
FULL = "No space left on device: "
FREE = "free space or quota"
MOMENTS = [
    pytest.param(CLAIM, 0, "missing", id="claim.json"),
    pytest.param(STATUS, 0, "lost", id="the first status"),
    pytest.param(RUN, 0, "failed", id="run.json"),
    pytest.param(METRICS, 1, "failed", id="a metric append"),
    pytest.param(CHECKPOINT, 1, "failed", id="a checkpoint"),
    pytest.param(RENAMING, 1, "failed", id="a checkpoint's rename"),
    pytest.param(WEIGHTS, 0, "failed", id="the final weights"),
    pytest.param(RESULT, 0, "failed", id="result.json"),
]
# Root is above permissions unless it gives up that capability.
BARE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")


@pytest.mark.parametrize(("moment", "skip", "state"), MOMENTS)
def test_a_disk_that_fills_up(
    disk: Desk, sound: dict[str, Any], moment: Moment, skip: int, state: str
) -> None:
    """Where there is no room for a status at all, the command alone tells the reason."""
    teacher = disk.workspace.experiments / TEACHER
    before = snapshot(teacher)
    ended(run_until(disk, moment, "fill", skip=skip), STUDENT, FULL, str(disk.workspace.root), FREE)
    assert snapshot(teacher) == before
    assert disk.states()[STUDENT] == state
    if state == "failed":
        assert FULL in said(disk, "status", "--format", "md")
        assert causes(disk, STUDENT)[0] == "disk"
    (disk.workspace.root / "filler").unlink()
    finishes(disk, sound)


def test_a_disk_with_room_for_a_status_but_no_checkpoint(disk: Desk, sound: dict[str, Any]) -> None:
    """The teacher is trained on it too."""
    shutil.rmtree(disk.workspace.experiments)
    ended(run_until(disk, CHECKPOINT, "nearly fill", skip=1), TEACHER, FULL, FREE)
    assert disk.states() == {TEACHER: "failed", STUDENT: "missing"}
    assert FULL in reason(disk, TEACHER)
    assert (causes(disk, TEACHER)[0], causes(disk, STUDENT)[0]) == ("disk", "blocked")
    (disk.workspace.root / "filler").unlink()
    finishes(disk, sound)


def test_a_disk_that_is_full_from_the_start(disk: Desk, sound: dict[str, Any]) -> None:
    shutil.rmtree(disk.workspace.experiments)
    fill(disk.workspace.root)
    ended(disk.run(*ONE), FULL, FREE)
    assert set(disk.states().values()) <= {"missing", "failed"}
    (disk.workspace.root / "filler").unlink()
    finishes(disk, sound)


@pytest.mark.parametrize("moment", [CHECKPOINT, RESULT], ids=str)
def test_a_disk_that_turns_read_only(disk: Desk, sound: dict[str, Any], moment: Moment) -> None:
    """Not even the reason can be written there, so the command alone tells it."""
    root = disk.workspace.root
    before = snapshot(disk.workspace.experiments / TEACHER)
    refused = ("Read-only file system: ", str(root), "make it writable")
    ended(run_until(disk, moment, "turn read-only"), STUDENT, *refused)
    assert snapshot(disk.workspace.experiments / TEACHER) == before
    assert disk.states()[STUDENT] == "lost"
    assert causes(disk, STUDENT)[0] in ("disk", "killed")
    ended(disk.run(*ONE), *refused)
    subprocess.run(["umount", "--lazy", str(root)], check=True)
    finishes(disk, sound)


@pytest.fixture
def unprivileged() -> tuple[str, ...]:
    """What stands before a command so that it is refused what it has no permission for."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None or subprocess.run([*BARE, "true"]).returncode != 0:
        pytest.skip("root obeys permissions under setpriv only")
    return BARE


@pytest.mark.parametrize("path", ["", STUDENT], ids=["experiments", "a run"])
def test_a_folder_that_cannot_be_written(
    desk: Desk, sound: dict[str, Any], unprivileged: tuple[str, ...], path: str
) -> None:
    closed = desk.workspace.experiments / path
    closed.mkdir(parents=True, exist_ok=True)
    closed.chmod(0o555)
    ended(desk.run(*ONE, before=unprivileged), "Permission denied: ", str(closed), "permission")
    assert desk.states() == {TEACHER: "done", STUDENT: "missing"}
    closed.chmod(0o755)
    finishes(desk, sound)


def test_a_folder_that_cannot_be_read(
    desk: Desk, sound: dict[str, Any], unprivileged: tuple[str, ...]
) -> None:
    closed = desk.workspace.experiments / TEACHER
    closed.chmod(0o000)
    ended(desk.run(*ONE, before=unprivileged), "Permission denied: ", str(closed), "permission")
    shown = said(desk, "status", "--format", "md", before=unprivileged)
    assert f"{TEACHER}: unreadable: Permission denied" in shown
    closed.chmod(0o755)
    finishes(desk, sound)


def test_a_workspace_that_vanishes(desk: Desk, sound: dict[str, Any]) -> None:
    """As when a disk is unmounted: nothing is begun in its place."""
    experiments = desk.workspace.experiments
    done = run_until(desk, CHECKPOINT, "move away", experiments, skip=1)
    assert f"put {experiments} back" in ended(done, f"{experiments}/round.json vanished")
    shutil.rmtree(experiments, ignore_errors=True)
    aside(experiments).rename(experiments)
    assert desk.states()[TEACHER] == "done"
    finishes(desk, sound)


@pytest.mark.parametrize("moment", [METRICS, RESULT], ids=str)
def test_a_run_that_vanishes(desk: Desk, sound: dict[str, Any], moment: Moment) -> None:
    """It is said, and the same command trains the run anew."""
    done = run_until(desk, moment, "remove", desk.workspace.experiments / STUDENT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert f"{STUDENT}: No such file or directory" in done.stdout
    assert desk.outcomes() == sound


DATASET = """
from stillhouse import data
from stillhouse.data.base import make_dataset

SPEC = data.DatasetSpec(
    name="own", label="Own", classes=10, channels=1, size=8, train_images=1_442,
    test_images=355, commonest=37, mean=(0.3052,), std=(0.3760,),
)

def load(spec, root):
    (root / "own" / "images").read_bytes()
    digits = data.load("Digits", root)
    train, test = digits.train, digits.test
    return make_dataset(spec, (train.images, train.labels), (test.images, test.labels))
"""


def test_a_dataset_that_vanishes_while_the_teacher_is_trained(tmp_path: Path) -> None:
    changes = {"methods": ["pure", "logit"], "seeds": [0], "datasets": ["own"], "files": ["own.py"]}
    desks = [Desk(tmp_path / name, **changes) for name in ("w", "calm")]
    for one in desks:
        (one.file.parent / "own.py").write_text(DATASET)
    desk, calm = desks
    images = tmp_path / "data" / "own"
    images.mkdir(parents=True)
    (images / "images").write_bytes(b"")
    where, student = (*ONE, "--data-root", str(images.parent)), STUDENT.replace("Digits", "own")
    assert calm.run(*where).returncode == 0
    run_until(desk, CHECKPOINT, "move away", images, options=where)
    assert desk.states()[student] == "failed"
    assert str(images / "images") in said(desk, "status")
    aside(images).rename(images)
    assert desk.run(*where).returncode == 0
    assert desk.outcomes() == calm.outcomes()
