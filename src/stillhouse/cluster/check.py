"""`stillhouse cluster check`: test a job's requirements on the submitting machine."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from stillhouse import data
from stillhouse.cluster.scheduler import Scheduler, search_path
from stillhouse.cluster.script import python, set_up
from stillhouse.cluster.site import Site
from stillhouse.errors import RunError, StillhouseError
from stillhouse.tables import Table

SECONDS = 120
PROBE_BYTES = 32 << 20
MIN_FREE_GB = 5
MIN_SPEED = 5
MAX_SKEW_SECONDS = 10
COMMANDS = {"pbs": ("qsub", "qstat", "qdel"), "slurm": ("sbatch", "squeue", "scancel")}
QUEUE = {"pbs": "qstat -Q {}", "slurm": "sinfo --noheader --partition={}"}
PACKAGES = (
    "import stillhouse, torch, torchvision, numpy, scipy, safetensors; "
    "print('stillhouse', stillhouse.__version__, 'torch', torch.__version__)"
)


def check_site(site: Site, root: Path) -> Table:
    """Run every check once; one row per check. Nothing is submitted."""
    checks: dict[str, Callable[[], str]] = {
        "commands": lambda: _commands(site),
        "listing": lambda: f"{len(Scheduler(site).jobs())} jobs of yours, cap {site.cap}",
        "queue": lambda: _queue(site),
        "modules and activation": lambda: _bash(site, "true"),
        "Python": lambda: _bash(site, f"{shlex.quote(python(site))} --version"),
        "packages": lambda: _bash(
            site, f"{shlex.quote(python(site))} -P -c {shlex.quote(PACKAGES)}"
        ),
        "data": lambda: _data(site),
        "space": lambda: _space(root),
        "write speed": lambda: _speed(root),
        "clock": lambda: _clock(root),
    }
    rows = []
    for name, check in checks.items():
        try:
            rows.append((name, "good", check()))
        except (StillhouseError, OSError, subprocess.TimeoutExpired) as error:
            rows.append((name, "BAD", str(error).replace("\n", " ")))
    note = "Checked on this machine. A compute node may differ, so one canary job goes first."
    return Table("Site check from this machine", ("What", "State", "Found"), tuple(rows), (note,))


def _commands(site: Site) -> str:
    found = {name: shutil.which(name, path=search_path(site)) for name in COMMANDS[site.scheduler]}
    if missing := [name for name, path in found.items() if path is None]:
        raise RunError(f"not found: {', '.join(missing)}", "give their folder as `commands`")
    return ", ".join(path for path in found.values() if path)


def _queue(site: Site) -> str:
    if not site.queue:
        return "none given: the scheduler's default"
    command = QUEUE[site.scheduler].format(shlex.quote(site.queue))
    done = _call(["/bin/sh", "-c", command], PATH=search_path(site))
    if not done.strip():
        raise RunError(f"there is no queue '{site.queue}'")
    return site.queue


def _bash(site: Site, command: str) -> str:
    """Run a command as a job's script would: after the set-up lines, which must succeed."""
    lines = ["set -o pipefail", *(f"{line} || exit 9" for line in set_up(site)), command]
    return _call(["/bin/bash", "-c", "\n".join(lines)]).strip() or "no error"


def _call(words: list[str], **environment: str) -> str:
    done = subprocess.run(
        words,
        env={"HOME": str(Path.home()), "PATH": os.environ.get("PATH", os.defpath)} | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise RunError(f"{words[-1].splitlines()[-1]}: {said} (code {done.returncode})")
    return done.stdout.decode(errors="replace")


def _data(site: Site) -> str:
    place = Path(site.data) if site.data else data.data_root(None)
    if not place.is_dir():
        raise RunError(f"there is no folder {place}", "stillhouse data fetch NAME --data-root ...")
    return str(place)


def _space(root: Path) -> str:
    free = shutil.disk_usage(root).free / 1e9
    if free < MIN_FREE_GB:
        raise RunError(f"{free:.1f} GB free in {root}: less than {MIN_FREE_GB}")
    return f"{free:.0f} GB free"


def _speed(root: Path) -> str:
    probe = root / f".stillhouse-probe-{os.getpid()}"
    started = time.perf_counter()
    try:
        with probe.open("wb") as file:
            file.write(bytes(PROBE_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        probe.unlink(missing_ok=True)
    speed = PROBE_BYTES / 1e6 / (time.perf_counter() - started)
    if speed < MIN_SPEED:
        raise RunError(f"{speed:.1f} MB/s: checkpoints would take longer than the margin")
    return f"{speed:.0f} MB/s"


def _clock(root: Path) -> str:
    """Compare the file server's clock with this machine's, as heartbeats need."""
    probe = root / f".stillhouse-probe-{os.getpid()}"
    try:
        probe.touch()
        skew = abs(probe.stat().st_mtime - time.time())
    finally:
        probe.unlink(missing_ok=True)
    if skew > MAX_SKEW_SECONDS:
        raise RunError(f"the file server's clock differs by {skew:.0f} s")
    return f"{skew:.1f} s from the file server's"
