"""Build wheel and sdist, and run the demo's round with each of them outside the checkout.

Usage: python tools/package.py

Packages that stillhouse needs are those of the Python that runs this; nothing of the checkout but
the round file is used.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DEMO = ("run digits.yaml --only seed=0", "table digits.yaml", "report digits.yaml")
REPORT = Path("analysis", "experiment_digits", "report.html")
WHERE = "import stillhouse; print(stillhouse.__file__)"


def build(folder: Path) -> list[Path]:
    """Build both files into a folder; the wheel is built from the sdist."""
    words: list[str | Path] = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return sorted(folder.iterdir())


def demo(python: Path, folder: Path, searched: str) -> None:
    """Run one seed of the demo's round in a folder, with the packages of an environment.

    `searched` is its PYTHONPATH. Raises CalledProcessError if a command fails, and SystemExit if
    the report is missing or names the checkout.
    """
    shutil.copy(ROOT / "rounds" / "digits.yaml", folder)
    env = dict(os.environ, PYTHONPATH=searched)
    for words in DEMO:
        subprocess.run(
            [python, "-P", "-m", "stillhouse", *words.split()], cwd=folder, env=env, check=True
        )
    if not (folder / REPORT).is_file() or str(ROOT) in (folder / REPORT).read_text():
        raise SystemExit(f"{folder / REPORT}: missing, or it names {ROOT}")


def try_outside(file: Path) -> None:
    """Install a wheel or an sdist beside this Python's packages, and run the demo with it."""
    with tempfile.TemporaryDirectory() as name:
        folder, packages = Path(name), Path(name, "packages")
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        subprocess.run([*install, "--target", str(packages), str(file)], check=True)
        env = dict(os.environ, PYTHONPATH=str(packages))
        where = subprocess.run(
            [sys.executable, "-P", "-c", WHERE],
            env=env,
            cwd=folder,
            check=True,
            capture_output=True,
        )
        if str(packages) not in where.stdout.decode():
            raise SystemExit(f"{file.name}: not used, but {where.stdout.decode()}")
        demo(Path(sys.executable), folder, str(packages))
    sys.stdout.write(f"{file.name}: the demo runs outside the checkout\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as built:
        for one in build(Path(built)):
            try_outside(one)
