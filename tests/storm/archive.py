"""A trained round is archived and restored while the command is killed at named points.

On one file system and across two. Nothing may be lost, changed or left behind: in the end every
file of the runs is as it was, in exactly one place.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stillhouse.exchange.move import digests_of
from storm.faults.sitecustomize import ARCHIVING, COPYING, hits

FAULTS = Path(__file__).parent / "faults"
OTHER = Path("/dev/shm")  # on most Linux systems a file system of its own
POINTS = (*ARCHIVING.values(), *COPYING.values())
MOST = 40  # starts of one command


def archive_storm(trained: Path, file: Path, folder: Path, points: list[str]) -> list[str]:
    """Archive and restore copies of a trained round; return everything that is wrong."""
    wrong = []
    with other_file_system() as other:
        for where in filter(None, ("here", other and "elsewhere")):
            root = folder / f"archived-{where}"
            shutil.copytree(trained, root, symlinks=True)
            if where == "elsewhere":
                (root / "analysis").symlink_to(str(other), target_is_directory=True)
            wrong += [f"archive {where}: {line}" for line in _life(root, file, folder, points)]
        if other is None:
            wanted = {*points} & {*COPYING.values()}
            print(f"not tried, for want of a second file system: {len(wanted)} points", flush=True)
            points = [point for point in points if point not in wanted]
    struck = hits(folder)
    wrong += [f"never struck: {point}" for point in points if not struck[point]]
    return wrong


@contextmanager
def other_file_system() -> Iterator[Path | None]:
    """A folder on another file system than that of temporary files; None if there is none."""
    if not OTHER.is_dir() or OTHER.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        yield None
        return
    with tempfile.TemporaryDirectory(dir=OTHER) as folder:
        yield Path(folder)


def _life(root: Path, file: Path, folder: Path, points: list[str]) -> list[str]:
    """Archive, verify, restore, each repeated until it succeeds."""
    before = _runs(root / "experiments")
    archive = root / "analysis" / "experiment_storm"
    how = ["--data-root", str(root), "--device", "cpu", "--jobs", "1"]
    wrong = _repeated([str(file), "--root", str(root), *how], folder, points)
    wrong += _differences("archived", before, _runs(archive / "experiments"))
    if any((root / "experiments").iterdir()):
        wrong.append("experiments/ is not blank")
    wrong += _repeated(["storm", "--root", str(root), "--verify"], folder, [])
    events = json.loads((archive / "archive.json").read_text())["events"]
    if [one["event"] for one in events] != ["archived"]:
        wrong.append(f"events: {events}")
    wrong += [f"left behind: {path}" for path in archive.rglob(".*") if "@" in path.name]
    wrong += [f"left behind: {path}" for path in archive.glob(".*.partial")]
    wrong += _repeated(["storm", "--root", str(root), "--restore"], folder, points)
    wrong += _differences("restored", before, _runs(root / "experiments"))
    if (archive / "experiments").exists():
        wrong.append("the runs are in two places")
    return wrong


def _runs(experiments: Path) -> dict[str, str]:
    """The files of the runs; those that `extract` adds are compared too, once they are there."""
    return digests_of(experiments) if experiments.is_dir() else {}


def _differences(what: str, before: dict[str, str], now: dict[str, str]) -> list[str]:
    changed = [name for name, digest in before.items() if now.get(name) != digest]
    first = changed[0] if changed else ""
    return [f"{what}: {len(changed)} files are lost or changed, first {first}"] if changed else []


def _repeated(words: list[str], folder: Path, points: list[str]) -> list[str]:
    """Repeat `stillhouse archive` until it succeeds."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment |= {
        "PYTHONPATH": f"{FAULTS}:{os.environ.get('PYTHONPATH', '')}",
        "STORM": str(folder),
        "STORM_POINTS": json.dumps(points),
        "STORM_TIMES": "1",
    }
    analyzed = {point for point in points if point.startswith(("extracting", "analyzing"))}
    for _ in range(MOST):
        struck = hits(folder)
        command = [sys.executable, "-m", "stillhouse", "archive", *words]
        if "--device" in words and analyzed <= {*struck}:
            command.append("--no-analysis")  # there already; to draw it again only takes time
        with (folder / "said.txt").open("ab") as said:
            code = subprocess.run(
                command, stdout=said, stderr=subprocess.STDOUT, env=environment
            ).returncode
        if code == 0:
            return []
        if hits(folder) == struck:
            last = (folder / "said.txt").read_text().splitlines()[-3:]
            return [f"archive {words[-1]} failed by itself: {' / '.join(last)}"]
    return [f"archive {words[-1]} did not succeed in {MOST} starts"]
