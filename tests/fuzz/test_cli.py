"""The command line over a round in which most runs are damaged, each in another way."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from damaged_files import Content, another_kind, damaged, fuzz, replaced
from fake_rounds import Bench


def stillhouse(bench: Bench, command: str, *options: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "stillhouse", command, str(bench.file), *options]
    line += ["--root", str(bench.workspace.root)]
    return subprocess.run(line, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_commands_over_damaged_runs(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    """An undamaged run is shown whatever happened to the others; no command ends in a traceback."""
    bench = Bench(tmp_path)
    accuracies = [90.25 + index for index in range(len(bench.runs))]
    bench.finish_all(accuracies)
    sound, *others = bench.runs
    files = [[bench.folder(name).run, bench.folder(name).result] for name in others]

    def case(random: Random) -> str:
        with ExitStack() as stack:
            for pair in files:
                path = random.choice(pair)
                other: Content = damaged(random, path.read_bytes())
                if path.name == "run.json" and random.random() < 0.3:
                    other = another_kind(random, (files[0][0],))
                stack.enter_context(replaced(path, other))
            broken = [c.config.path for c in bench.look().cells if c.state.name == "unreadable"]
            done = {command: stillhouse(bench, command) for command in ("status", "table")}
            done["run"] = stillhouse(bench, "run", "--device", "cpu", "--jobs", "1")
        for command, ended in done.items():
            said = ended.stdout + ended.stderr
            assert "Traceback" not in said, (command, said)
            assert ended.returncode == (1 if command == "run" else 0), (command, said)
        assert len(broken) >= 5
        assert "90.25" in done["table"].stdout
        assert f"{len(broken)} unreadable" in done["status"].stdout, done["status"].stdout
        unfolded = " ".join(done["status"].stdout.split())
        for name in broken:
            assert f"{name}: unreadable: " in unfolded
        assert f"{sound}: " not in done["status"].stdout
        return "listed"

    fuzz(pytestconfig, "command line", 1, case)
