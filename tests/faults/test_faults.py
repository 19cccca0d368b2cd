"""A round whose disk, folders, memory, clock or claims fail, with real processes.

Each fault ends in a named state with a reason; once it is removed, the same command finishes the
round, bit for bit as if nothing had been. Disks are small tmpfs mounts, for which root is needed.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from desk import RECIPE, Desk, kill_group, wait_until
from stillhouse.config.load import load_round
from stillhouse.doctor.diagnose import diagnose
from stillhouse.doctor.read import read_round
from stillhouse.runs.files import read_lines

pytestmark = [pytest.mark.slow, pytest.mark.long]
ROUND: dict[str, Any] = {"methods": ["pure", "logit"], "seeds": [0]}
TEACHER = "Digits/pure/ResNetBaby/0"
STUDENT = "Digits/logit/ResNetBaby_to_ResNetBaby/0"
DISK = 24 << 20
ONE = ("--jobs", "1")
# Root is above permissions unless it gives up that capability.
BARE = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an undisturbed round ends in."""
    desk = Desk(tmp_path_factory.mktemp("sound"), **ROUND)
    assert desk.run(*ONE).returncode == 0
    return desk.outcomes()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "w", **ROUND)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Desk]:
    """A workspace on a small disk of its own."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield Desk(place, **ROUND)
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def causes(desk: Desk) -> dict[str, list[str]]:
    """What the doctor names of each run, the likeliest cause first."""
    cases = read_round(desk.workspace, load_round(desk.file))
    return {case.path: [finding.code for finding in diagnose(case)] for case in cases}


def reason(desk: Desk, path: str) -> str:
    return next(c.state.reason for c in desk.look().cells if c.config.path == path)


def fill(desk: Desk, leave: int = 0) -> Path:
    """Take what is left of the disk but for `leave` bytes."""
    filler = desk.workspace.root / "filler"
    free = shutil.disk_usage(desk.workspace.root).free
    with filler.open("wb", buffering=0) as file:
        file.write(bytes(max(0, free - leave)))
    return filler


def epochs(desk: Desk, path: str) -> int:
    files = list((desk.workspace.experiments / path).rglob("metrics.jsonl"))
    return len(read_lines(files[0])) if files else 0


def finishes(desk: Desk, sound: dict[str, Any]) -> None:
    """The same command ends the round as if nothing had been, and leaves nothing behind."""
    again = desk.run(*ONE)
    assert again.returncode == 0, again.stdout + again.stderr
    assert desk.outcomes() == sound
    assert not desk.found("*.tmp")


def end(process: subprocess.Popen[str]) -> str:
    """What a command that ends in failure says, which is no traceback."""
    assert process.stdout is not None
    said = process.stdout.read()
    assert process.wait() == 1, said
    assert "Traceback" not in said, said
    return said


def plain(done: subprocess.CompletedProcess[str]) -> str:
    """What a failed command said, which is no traceback."""
    assert done.returncode == 1, done.stdout
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    return said


@pytest.mark.parametrize("leave", [0, 40 << 10], ids=["nothing left", "a little left"])
@pytest.mark.parametrize("busy", [TEACHER, STUDENT], ids=["teacher", "student"])
def test_a_disk_that_fills_up(disk: Desk, sound: dict[str, Any], busy: str, leave: int) -> None:
    """With a little left, small files can still be written, but no checkpoint."""
    with disk.started(*ONE, stderr=subprocess.STDOUT) as process:
        wait_until(lambda: epochs(disk, busy) >= 2, f"{busy} has two epochs")
        filler = fill(disk, leave)
        end(process)
    assert disk.states()[busy] == "failed"
    assert "No space left on device" in reason(disk, busy)
    assert causes(disk)[busy][0] == "disk"
    assert disk.states()[TEACHER] == ("failed" if busy == TEACHER else "done")
    filler.unlink()
    finishes(disk, sound)


def test_a_disk_that_is_full_from_the_start(disk: Desk, sound: dict[str, Any]) -> None:
    filler = fill(disk)
    assert "No space left on device" in plain(disk.run(*ONE))
    assert set(disk.states().values()) <= {"missing", "failed"}
    filler.unlink()
    finishes(disk, sound)


def test_a_disk_that_turns_read_only(disk: Desk, sound: dict[str, Any]) -> None:
    """Between two runs; nothing can be noted there, so the command says it."""

    def turn(how: str) -> bool:
        words = ["mount", "-o", f"remount,{how}", str(disk.workspace.root)]
        return subprocess.run(words, check=False, capture_output=True).returncode == 0

    with disk.started(*ONE, stderr=subprocess.STDOUT) as process:
        done = disk.workspace.experiments / TEACHER / "result.json"
        wait_until(lambda: done.exists() and turn("ro"), "the disk is read-only")
        assert "Read-only file system" in end(process)
    assert disk.states() == {TEACHER: "done", STUDENT: "missing"}
    assert "Read-only file system" in plain(disk.run(*ONE))
    assert turn("rw")
    finishes(disk, sound)


def test_a_folder_without_permission(desk: Desk, sound: dict[str, Any]) -> None:
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to be refused a folder")
    before = BARE if os.geteuid() == 0 else ()
    desk.workspace.experiments.mkdir()
    desk.workspace.experiments.chmod(0o555)
    said = plain(desk.run(*ONE, before=before))
    assert "Permission denied" in said and str(desk.workspace.experiments) in said
    desk.workspace.experiments.chmod(0o755)
    finishes(desk, sound)


def test_a_runs_folder_without_permission(desk: Desk, sound: dict[str, Any]) -> None:
    """One run cannot be written; the others are trained."""
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("root needs setpriv to be refused a folder")
    before = BARE if os.geteuid() == 0 else ()
    closed = desk.workspace.experiments / STUDENT
    closed.mkdir(parents=True)
    closed.chmod(0o555)
    said = plain(desk.run(*ONE, before=before))
    assert "Permission denied" in said
    assert desk.states() == {TEACHER: "done", STUDENT: "missing"}
    closed.chmod(0o755)
    finishes(desk, sound)


def test_a_workspace_that_vanishes(desk: Desk, sound: dict[str, Any]) -> None:
    """As when a disk is unmounted: nothing is begun in its place."""
    experiments, aside = desk.workspace.experiments, desk.workspace.root / "aside"
    with desk.started(*ONE, stderr=subprocess.STDOUT) as process:
        wait_until(lambda: epochs(desk, STUDENT) >= 2, "the student has two epochs")
        experiments.rename(aside)
        said = end(process)
    assert f"{experiments}/round.json vanished" in said and "put" in said
    shutil.rmtree(experiments, ignore_errors=True)
    aside.rename(experiments)
    wait_until(lambda: desk.states()[STUDENT] != "running", "its worker has left")
    assert desk.states()[TEACHER] == "done"
    finishes(desk, sound)


def test_a_runs_folder_that_vanishes(desk: Desk, sound: dict[str, Any]) -> None:
    """It is said, and the run is trained anew by the same command."""
    with desk.started(*ONE, stderr=subprocess.STDOUT) as process:
        wait_until(lambda: epochs(desk, STUDENT) >= 2, "the student has two epochs")
        (desk.workspace.experiments / STUDENT).rename(desk.workspace.root / "aside")
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait() == 0
    assert f"{STUDENT}: No such file or directory" in said and "Traceback" not in said
    assert desk.outcomes() == sound


def test_memory_that_runs_out(tmp_path: Path) -> None:
    """A limit that holds all packages, but not a network in training on 300 images at once."""
    large = ROUND | {"training": RECIPE | {"batch_size": 300, "train_images": 1200, "epochs": 8}}
    desk, undisturbed = Desk(tmp_path / "w", **large), Desk(tmp_path / "u", **large)
    packages = "import torch, torchvision.datasets, sklearn.datasets, stillhouse.training.worker"
    look = f"{packages}; print(open('/proc/self/status').read())"
    shown = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    peak = next(line for line in shown.stdout.splitlines() if line.startswith("VmPeak"))
    limit = (int(peak.split()[1]) << 10) + (16 << 20)

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    assert "out of memory" in plain(desk.run(*ONE, preexec_fn=limited))
    (failed,) = [path for path, state in desk.states().items() if state == "failed"]
    assert "out of memory" in reason(desk, failed)
    assert causes(desk)[failed][0] == "oom-host"
    assert undisturbed.run(*ONE).returncode == 0
    finishes(desk, undisturbed.outcomes())


@pytest.mark.parametrize("when", ["while it trains", "before it goes on"])
def test_a_clock_that_jumps_back(desk: Desk, sound: dict[str, Any], when: str) -> None:
    """By an hour; only a machine's own clock can really be set, so Python's is."""
    if when == "before it goes on":
        with desk.started(*ONE) as process:
            wait_until(lambda: epochs(desk, STUDENT) >= 2, "the student has two epochs")
            kill_group(process)
    after = "0" if when == "before it goes on" else "4"
    environment = dict(
        os.environ, PYTHONPATH=f"{HERE / 'clock'}:{os.environ.get('PYTHONPATH', '')}"
    )
    done = desk.run(*ONE, env=environment | {"CLOCK_JUMPS_AFTER": after})
    assert done.returncode == 0, done.stdout + done.stderr
    records = [read_lines(desk.workspace.experiments / path / "metrics.jsonl") for path in sound]
    assert all(record["time"]["seconds"] >= 0 for lines in records for record in lines)
    assert desk.attempts() == (3 if when == "before it goes on" else 2)
    finishes(desk, sound)


@pytest.mark.parametrize("age", [3600.0, 0.0], ids=["stale", "fresh"])
def test_a_claim_of_another_host(desk: Desk, sound: dict[str, Any], age: float) -> None:
    """A stale one is taken over; a fresh one is waited for until somebody unlocks it."""
    with desk.started(*ONE) as process:
        wait_until(lambda: epochs(desk, STUDENT) >= 2, "the student has two epochs")
        kill_group(process)
    attempt = desk.workspace.experiments / STUDENT / "attempts" / "001"
    for name, change in {
        "claim.json": {"host": "node7"},
        "status.json": {"heartbeat": time.time() - age},
    }.items():
        file = attempt / name
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
    if age:
        assert desk.states()[STUDENT] == "lost"
        assert causes(desk)[STUDENT][0] == "stale-heartbeat"
        finishes(desk, sound)
        return
    assert desk.states()[STUDENT] == "running" and "node7" in reason(desk, STUDENT)
    heard: list[str] = []
    with desk.started(*ONE) as process:
        assert process.stdout is not None
        listener = threading.Thread(target=lambda: heard.extend(process.stdout or ()))
        listener.start()
        wait_until(lambda: any("stillhouse unlock" in line for line in heard), "it waits")
        unlock = [sys.executable, "-m", "stillhouse", "unlock", str(desk.file)]
        subprocess.run([*unlock, "--root", str(desk.workspace.root)], check=True)
        assert process.wait() == 0
        listener.join()
    finishes(desk, sound)
