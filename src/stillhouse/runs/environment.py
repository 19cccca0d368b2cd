"""Record which code, packages and machine trained a run."""

from __future__ import annotations

import ctypes
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
GLIBC_KEEPS = (  # parameter of mallopt(3) and value
    (-4, 0),  # M_MMAP_MAX: no buffer is mapped on its own
    (-1, 2**31 - 1),  # M_TRIM_THRESHOLD: nothing is given back below 2 GiB
    (-2, 1 << 26),  # M_TOP_PAD: grow by 64 MiB
    (-8, 1),  # M_ARENA_MAX: the arenas of other threads would give back every 64 MiB
)


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


@cache
def keep_freed_memory() -> bool:
    """Let this process keep the buffers it frees; call it before threads are started.

    glibc otherwise returns large buffers to the system after each layer, so that the next layer
    causes page faults: at 64 x 64 pixels evaluation spends as much time in the kernel as in
    convolutions. Returns False where the C library is another one, or where the environment has
    `GLIBC_TUNABLES` or a variable of malloc(3), as `MALLOC_TRIM_THRESHOLD_`, which then holds.
    """
    if any(name.startswith(("MALLOC_", "GLIBC_TUNABLES")) for name in os.environ):
        return False
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(mallopt(parameter, value) for parameter, value in GLIBC_KEEPS)


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
