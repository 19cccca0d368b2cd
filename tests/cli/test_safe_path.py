"""No command runs a Python file of the current folder, whatever it is called."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fake_rounds import Bench
from fake_scheduler import make_site
from stillhouse.cluster.script import Workplace, train_command

NAMES = ("random", "logging", "json", "signal", "shutil", "yaml", "torch", "numpy", "stillhouse")
SCRIPT = "from stillhouse.cli.main import main; main()"
COMMANDS = {
    "plan": ["tiny"],
    "plan --try": ["tiny", "--device", "cpu"],
    "run": ["tiny", "--device", "cpu"],
    "status": ["tiny"],
    "doctor": ["tiny"],
    "table": ["tiny"],
    "list methods": [],
    "list models": [],
    "verify": ["Digits/pure/ResNetBaby/0", "--device", "cpu"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one small round, and files that say so when they are run."""
    root = tmp_path_factory.mktemp("hostile")
    recipe = {"epochs": 1, "train_images": 64, "batch_size": 32}
    Bench(root, teacher="ResNetBaby", methods=["pure"], seeds=[0], training=recipe)
    for name in NAMES:
        (root / f"{name}.py").write_text(f"open('{name}-was-run', 'w').close()\n")
    return root


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs_no_file_of_the_folder(folder: Path, command: str) -> None:
    words = [sys.executable, "-P", "-c", SCRIPT, *command.split(), *COMMANDS[command]]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert not sorted(folder.glob("*-was-run")), done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stdout + done.stderr


def test_python_m_stillhouse_runs_none_of_the_standard_library_s_names(tmp_path: Path) -> None:
    """Python itself looks for `stillhouse` in the folder; what that imports is not found there."""
    for name in NAMES[:-1]:
        (tmp_path / f"{name}.py").write_text("raise SystemExit('was run')\n")
    words = [sys.executable, "-m", "stillhouse", "list", "methods"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_job_on_a_cluster_does_not_either(tmp_path: Path) -> None:
    site = make_site(environment={"python": "/opt/python"})
    command = train_command(("Digits/pure/ResNetBaby/0",), site, Workplace(tmp_path, tmp_path))
    assert command.startswith("/opt/python -P -m stillhouse train ")
