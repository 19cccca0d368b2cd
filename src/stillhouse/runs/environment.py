"""Record which code, packages and machine trained a run."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import stillhouse

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "safetensors")
GIT_SECONDS = 10
# For glibc, which otherwise returns large buffers to the system after each layer, so that the next
# layer causes page faults: at 64 x 64 pixels evaluation spends as much time in the kernel as in
# convolutions. A process keeps up to 4 GiB of freed memory.
KEEP_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
    "MALLOC_TOP_PAD_": str(1 << 26),
}


@cache
def source() -> str:
    """Return a SHA-256 over every Python file of the package, with its name."""
    folder, digest = Path(stillhouse.__file__).parent, sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def code() -> dict[str, Any]:
    """Return the stillhouse version and the hash of its source.

    In a git checkout also the commit, and a hash of the uncommitted changes.
    """
    folder = Path(stillhouse.__file__).parent
    found: dict[str, Any] = {
        "version": stillhouse.__version__,
        "source": source(),
        "commit": None,
        "difference": None,
    }
    if (commit := _git(folder, "rev-parse", "HEAD")) is not None:
        found["commit"] = commit.strip()
        difference = _git(folder, "diff", "HEAD", "--", str(folder)) or ""
        found["difference"] = sha256(difference.encode()).hexdigest() if difference else None
    return found


def of_worker() -> dict[str, str]:
    """Return the environment variables for a worker: this process's and `KEEP_MEMORY`."""
    return {**KEEP_MEMORY, **os.environ}


def machine() -> dict[str, Any]:
    """Return packages, Python, processor and host (without torch)."""
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "host": platform.node(),
    }


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
