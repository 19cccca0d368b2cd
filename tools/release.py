"""Check that a version is ready, build it, install it into an empty environment, and tag it.

Usage: python tools/release.py VERSION [--dry-run]

Refuses with one line for each thing that does not agree. With `--dry-run` nothing is tagged.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

import package

ROOT = Path(__file__).parents[1]


def disagreements(root: Path, version: str, tags: list[str]) -> list[str]:
    """What keeps `version` from being released, one line each."""
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        found.append(f"VERSION={version}: expected three numbers, as in 0.2.0")
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if project != version:
        found.append(f"pyproject.toml: version is {project}, expected {version}")
    init = (root / "src" / "stillhouse" / "__init__.py").read_text()
    if f'__version__ = "{version}"' not in init:
        found.append(f"src/stillhouse/__init__.py: __version__ is not {version}")
    changes = (root / "CHANGELOG.md").read_text()
    section = re.search(rf"^## {re.escape(version)}\b(.*)$", changes, re.MULTILINE)
    if section is None:
        found.append(f"CHANGELOG.md: no section '## {version}'")
    elif "not released" in section[1]:
        found.append(f"CHANGELOG.md: the section {version} says that it is not released")
    elif "### Upgrading" not in changes[section.end() :].split("\n## ")[0]:
        found.append(f"CHANGELOG.md: the section {version} has no part 'Upgrading'")
    if f"v{version}" in tags:
        found.append(f"git: the tag v{version} exists")
    return found


def call(*words: str | Path) -> str:
    """Run a command in the project; what it printed. Raises CalledProcessError if it fails."""
    done = subprocess.run([*map(str, words)], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode()


def build_and_try(version: str) -> None:
    """Build wheel and sdist into `dist/`; run the demo with each in an empty environment."""
    call(sys.executable, "-m", "build", "--outdir", ROOT / "dist", ROOT)
    for file in (
        ROOT / "dist" / f"stillhouse-{version}-py3-none-any.whl",
        ROOT / "dist" / f"stillhouse-{version}.tar.gz",
    ):
        with tempfile.TemporaryDirectory() as folder:
            venv.create(folder, with_pip=True)
            call(Path(folder, "bin", "pip"), "install", "--quiet", file)
            told = call(Path(folder, "bin", "stillhouse"), "--version")
            if f"stillhouse {version}\n" not in told:
                raise SystemExit(f"{file.name}: `stillhouse --version` says {told!r}")
            package.demo(Path(folder, "bin", "python"), Path(folder), "")
            sys.stdout.write(f"{file.name}: installs and runs in an empty environment\n")


def main(version: str, dry: bool) -> None:
    """Everything, in the order of its cost."""
    found = disagreements(ROOT, version, call("git", "tag").split())
    if call("git", "status", "--porcelain"):
        found.append("git: there are uncommitted changes")
    if found:
        raise SystemExit("\n".join(found))
    call("make", "check", "test")
    build_and_try(version)
    if dry:
        sys.stdout.write(f"{version} is ready; not tagged\n")
    else:
        call("git", "tag", "--annotate", f"v{version}", "--message", f"stillhouse {version}")
        sys.stdout.write(f"tagged v{version}\n")


if __name__ == "__main__":
    main(sys.argv[1], "--dry-run" in sys.argv[2:])
