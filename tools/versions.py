"""Install stillhouse into an empty environment with the lowest or the newest versions it allows.

Usage: python tools/versions.py lowest|newest [FOLDER [TESTS ...]]

`lowest` takes the lower bound of every package that pyproject.toml names, extras included; what
these need in turn is as new as they allow. `newest` takes the newest. The environment is made in
FOLDER, which stays and must not exist, or in one that is deleted afterwards. The quick tests run in
it (or TESTS).
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXTRAS = ("archive", "cluster", "parquet", "tensorboard", "timm", "wandb")
TOOLS = ("bagit", "hypothesis", "pytest", "statsmodels", "tensorboard")  # what the tests import
TESTS = (
    *("tests/config", "tests/methods", "tests/stats"),
    *("tests/training/test_loop.py", "tests/models/test_library.py"),
    *("tests/exchange/test_pack.py", "tests/exchange/trackers", "tests/test_bring_page.py"),
)


def extras(root: Path) -> dict[str, list[str]]:
    """The requirements of every extra, by its name; `""` has those of the package itself."""
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def requirements(root: Path) -> list[str]:
    """The requirements that pyproject.toml names for users, with those of the extras."""
    return [one for name in ("", *EXTRAS) for one in extras(root)[name]]


def lowest(requirement: str) -> str:
    """`torch>=2.6,<3` -> `torch==2.6`. Raises ValueError for one without a lower bound."""
    found = re.match(r"([\w.-]+)[^;]*?>=([\w.]+)[^;]*(;.*)?$", requirement)
    if found is None:
        raise ValueError(f"{requirement}: expected a lower bound, as in torch>=2.6,<3")
    name, bound, marker = found.groups("")
    return f"{name}=={bound}{marker}"


def install(which: str, folder: Path) -> Path:
    """Make the environment; return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pinned = [lowest(one) for one in requirements(ROOT)] if which == "lowest" else []
    (folder / "constraints.txt").write_text("".join(f"{line}\n" for line in pinned))
    bounds = ["--constraint", str(folder / "constraints.txt")]
    newest = ["--upgrade", "--upgrade-strategy", "eager"] if which == "newest" else []
    tools = [one for one in extras(ROOT)["dev"] if re.split(r"[^\w-]", one)[0] in TOOLS]
    given = [f"{ROOT}[{','.join(EXTRAS)}]", *tools]
    subprocess.run([python, "-m", "pip", "install", "-q", *newest, *bounds, *given], check=True)
    return python


def main(which: str, folder: Path, tests: tuple[str, ...]) -> int:
    """Install, list what was installed, test; return the exit code of the tests."""
    if folder.exists():
        raise SystemExit(f"{folder} exists: name a folder that does not")
    python = install(which, folder)
    subprocess.run([python, "-m", "pip", "list"], check=True)
    words = [str(python), "-P", "-m", "pytest", "-p", "no:cacheprovider", *(tests or TESTS)]
    return subprocess.run(words, cwd=ROOT, env=dict(os.environ, PYTHONPATH="")).returncode


if __name__ == "__main__":
    which, *rest = sys.argv[1:] or [""]
    if which not in ("lowest", "newest"):
        raise SystemExit(__doc__)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(rest[0]) if rest else Path(name, "environment")
        raise SystemExit(main(which, folder, tuple(rest[1:])))
