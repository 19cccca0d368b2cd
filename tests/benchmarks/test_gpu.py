"""`make gpu` on a machine without a GPU: it says so, and its dry run makes both files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


def gpu(*options: str, path: str = "src") -> subprocess.CompletedProcess[str]:
    """The command, from a checkout that is not installed."""
    environment = {**os.environ, "PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "benchmarks.gpu", *options]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def test_without_cuda_it_says_so_and_exits_2(tmp_path: Path) -> None:
    done = gpu("--out", str(tmp_path / "report"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "finds no CUDA device here: nothing was measured" in done.stderr
    assert not (tmp_path / "report").exists()


def test_missing_packages_are_named(tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text("raise ImportError('not here')\n")
    done = gpu("--dry-run", path=f"{tmp_path}{os.pathsep}src")
    assert done.returncode == 2
    assert "missing packages:\n  pydantic (with pydantic-core" in done.stderr


@pytest.mark.slow
def test_the_dry_run_measures_everything_on_the_cpu(tmp_path: Path) -> None:
    done = gpu("--dry-run", "--out", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "gpu.json").read_text())
    assert report["format"] == 1 and report["facts"]["torch"] == torch.__version__
    checks = {row["name"]: row["passed"] for row in report["checks"]}
    assert checks["rkd fp32 eager: cohort = alone"] is True
    assert checks["no synchronisation in a step: eager fp32"] is None
    assert False not in checks.values()
    modes = {(row["mode"], row["students"]) for row in report["timings"]}
    assert {("eager", 7), ("textbook", 7), ("eager", 1)} <= modes
    assert all(row["ms"] > 0 for row in report["timings"])
    same = [row["over_same_precision"] for row in report["ratios"]]
    assert any(ratio and ratio > 0 for ratio in same)
    assert [row["processes"] for row in report["processes"]] == [1, 2]
    assert "## Times faster than the textbook loop" in (tmp_path / "gpu.md").read_text()
