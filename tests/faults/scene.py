"""A round of two runs in which a fault strikes, and what a person would see of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from real_rounds import Desk
from stillhouse.config.load import load_round
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.read import read_round
from stillhouse.runs.files import file_hash, read_lines

HERE = Path(__file__).parent
ROUND: dict[str, Any] = {"methods": ["pure", "logit"], "seeds": [0]}
TEACHER = "Digits/pure/ResNetBaby/0"
STUDENT = "Digits/logit/ResNetBaby_to_ResNetBaby/0"
ONE = ("--jobs", "1")

Moment = tuple[str, str]  # an audit event, and how the name of the file it touches begins
CHECKPOINT: Moment = ("open", ".checkpoint.pt@")
RENAMING: Moment = ("os.rename", ".checkpoint.pt@")
METRICS: Moment = ("open", "metrics.jsonl")
RUN: Moment = ("open", ".run.json@")
CLAIM: Moment = ("open", ".claim.json@")
STATUS: Moment = ("open", ".status.json@")
WEIGHTS: Moment = ("open", ".final.safetensors@")
RESULT: Moment = ("open", ".result.json@")


def run_until(
    desk: Desk,
    moment: Moment,
    action: str,
    place: Path | None = None,
    skip: int = 0,
    options: tuple[str, ...] = ONE,
) -> subprocess.CompletedProcess[str]:
    """The command, with a fault in the first worker that comes to a moment; it strikes once."""
    mark = desk.file.parent / "struck"
    fault = {"event": moment[0], "name": moment[1], "skip": skip, "action": action}
    fault |= {"place": str(place or desk.workspace.root), "mark": str(mark)}
    path = f"{HERE / 'moments'}:{os.environ.get('PYTHONPATH', '')}"
    environment = os.environ | {"FAULT": json.dumps(fault), "PYTHONPATH": path}
    done = desk.run(*options, env=environment)
    assert mark.exists(), f"it never came to {moment}: {done.stdout + done.stderr}"
    return done


def said(desk: Desk, command: str, *options: str, before: tuple[str, ...] = ()) -> str:
    """What another command says of the round."""
    words = [*before, sys.executable, "-m", "stillhouse", command, str(desk.file)]
    words += ["--root", str(desk.workspace.root), *options]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout + done.stderr


def ended(done: subprocess.CompletedProcess[str], *reason: str) -> str:
    """Check that a command ended in failure with a line that has all of a reason, not a traceback.

    Returns all it said.
    """
    text = done.stdout + done.stderr
    assert done.returncode == 1, text
    assert "Traceback" not in text, text
    assert any(all(part in line for part in reason) for line in text.splitlines()), text
    return text


def finishes(desk: Desk, sound: dict[str, Any]) -> None:
    """The same command ends the round as if nothing had been, and leaves nothing behind."""
    again = desk.run(*ONE)
    assert again.returncode == 0, again.stdout + again.stderr
    assert desk.outcomes() == sound
    assert not desk.found("*@*") and not desk.found("*.tmp")


def causes(desk: Desk, path: str) -> list[str]:
    """What the doctor names of a run, the likeliest cause first."""
    cases = read_round(desk.workspace, load_round(desk.file))
    return next([found.code for found in diagnose(case)] for case in cases if case.path == path)


def reason(desk: Desk, path: str) -> str:
    return next(c.state.reason for c in desk.look().cells if c.config.path == path)


def epochs(desk: Desk, path: str) -> int:
    files = list((desk.workspace.experiments / path).rglob("metrics.jsonl"))
    return len(read_lines(files[0])) if files else 0


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file of a folder: its hash and when it was written."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(f.relative_to(folder)): (file_hash(f), f.stat().st_mtime_ns) for f in files}
