"""A whole round with real processes: its command, what it leaves, and how it is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fake_rounds import write_round
from stillhouse.config.load import load_round
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import read_lines
from stillhouse.runs.folder import RunFolder

EPOCHS = 12
LIMIT = 900.0
RECIPE = {"epochs": EPOCHS, "batch_size": 64, "learning_rate": 0.02, "train_images": 200}


class Desk:
    """A round file and a workspace, and the command that trains one in the other."""

    def __init__(self, root: Path, **changes: Any) -> None:
        settings = {"teacher": "ResNetBaby", "training": RECIPE} | changes
        self.file = write_round(root / "rounds" / "tiny.yaml", **settings)
        self.workspace = Workspace(root)

    def command(self, *options: str) -> list[str]:
        start = [sys.executable, "-m", "stillhouse", "run", str(self.file)]
        return [*start, "--root", str(self.workspace.root), "--device", "cpu", *options]

    def run(
        self, *options: str, before: Sequence[str] = (), **how: Any
    ) -> subprocess.CompletedProcess[str]:
        """The command to its end; `before` stands before it, `how` is for `subprocess.run`."""
        command = [*before, *self.command(*options)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, check=False, **how
        )

    @contextmanager
    def started(self, *options: str, **how: Any) -> Iterator[subprocess.Popen[str]]:
        """The command running in a process group of its own, which is gone afterwards."""
        process = subprocess.Popen(
            self.command(*options), stdout=subprocess.PIPE, text=True, start_new_session=True, **how
        )
        try:
            yield process
        finally:
            kill_group(process)
            process.communicate()

    def look(self) -> Survey:
        return survey_round(self.workspace, load_round(self.file))

    def states(self) -> dict[str, str]:
        return {cell.config.path: cell.state.name for cell in self.look().cells}

    def found(self, pattern: str) -> set[Path]:
        return set(self.workspace.experiments.rglob(pattern))

    def attempts(self) -> int:
        return len(self.found("attempts/*"))

    def outcomes(self) -> dict[str, Any]:
        """Of every completed run, what must be bit-identical when it is repeated."""
        cells = [cell for cell in self.look().cells if cell.state.name == "done"]
        return {cell.config.path: outcome(cell.folder) for cell in cells}

    def outcomes_of(self, part: Desk) -> dict[str, Any]:
        """The same of the runs that are also in another, smaller round."""
        return {path: found for path, found in self.outcomes().items() if path in part.states()}


def outcome(folder: RunFolder) -> dict[str, Any]:
    result = folder.completed()
    assert result is not None, folder.path
    records = read_lines(folder.path / "metrics.jsonl")
    timeless = [{k: v for k, v in record.items() if k != "time"} for record in records]
    return {"weights": result["weights"], "records": timeless, "best": result["best"]}


def kill_group(process: subprocess.Popen[str]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def wait_until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.02)
