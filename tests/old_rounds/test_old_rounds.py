"""Rounds written by earlier versions: today's code reads, shows and finishes them.

Each folder here was written by `write.py` and is never changed. Which bits a network has depends
on the processor and on torch, so bits are compared with an undisturbed run of today where its
first epochs have the recorded bits, and within tolerances elsewhere.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import warnings
from contextlib import chdir
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from stillhouse.cli.main import app
from stillhouse.errors import Notice

HERE = Path(__file__).parent
OLD = sorted(path.parent.name for path in HERE.glob("*/expected.json"))
CONTROL = "Digits/null/ResNetBaby/0"


def typed(*words: str, root: Path) -> subprocess.CompletedProcess[str]:
    """A command of today, in a workspace."""
    command = [sys.executable, "-P", "-m", "stillhouse", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def read(*words: str, root: Path) -> Result:
    """A command that only reads, in this process."""
    with chdir(root), warnings.catch_warnings():
        warnings.simplefilter("ignore", Notice)
        return CliRunner().invoke(app, list(words))


def content(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): sha256(p.read_bytes()).hexdigest() for p in files}


def epochs(file: Path) -> list[dict[str, Any]]:
    records = [json.loads(line) for line in file.read_text().splitlines()]
    return [{key: value for key, value in one.items() if key != "time"} for one in records]


def accuracies(table: dict[str, Any]) -> dict[tuple[str, str], float]:
    """The mean of every arm that has one, by method and network."""
    where = [table["columns"].index(name) for name in ("method", "model", "mean")]
    rows = ([row[index] for index in where] for row in table["rows"])
    return {(method, model): mean for method, model, mean in rows if mean is not None}


@dataclass
class Old:
    """A copy of what an earlier version wrote, what it was before, and what finished it."""

    root: Path
    expected: dict[str, Any]
    before: dict[str, Result]
    files: dict[str, str]
    run: subprocess.CompletedProcess[str]

    @property
    def study(self) -> Path:
        return self.root / "study"

    @property
    def killed(self) -> Path:
        path: str = self.expected["killed"]["run"]
        return self.study / "experiments" / path


@pytest.fixture(scope="module", params=OLD)
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Old:
    root = tmp_path_factory.mktemp("old") / "moved"
    shutil.copytree(HERE / request.param, root)
    expected = json.loads((root / "expected.json").read_text())
    before = {
        "status": read("status", "study", root=root / "study"),
        "table": read("table", "study", "--format", "json", root=root / "study"),
        "doctor": read("doctor", "study", root=root / "study"),
        "compare": read("compare", "study", "../imported", root=root / "study"),
        "imported": read("table", "earlier", "--format", "json", root=root / "imported"),
        "imported status": read("status", "earlier", root=root / "imported"),
    }
    files = content(root / "study" / "experiments")
    done = typed("run", "study", "--device", "cpu", root=root / "study")
    return Old(root, expected, before, files, done)


def test_every_command_reads_it(old: Old) -> None:
    assert {name: done.exit_code for name, done in old.before.items()} == dict.fromkeys(
        old.before, 0
    ) | {"doctor": 1}
    for name, done in old.before.items():
        assert done.exception is None or isinstance(done.exception, SystemExit), name
        assert "unreadable" not in done.stdout.lower(), name


@pytest.mark.parametrize(("command", "name"), [("table", "study"), ("imported", "earlier")])
def test_every_accuracy_is_what_it_was(old: Old, command: str, name: str) -> None:
    then = accuracies(old.expected["tables"][name])
    now = accuracies(json.loads(old.before[command].stdout))
    renamed = {("ce_scaled" if m == "null" else m, model): x for (m, model), x in then.items()}
    assert now == pytest.approx(renamed, abs=1e-4)
    assert len(now) == (3 if name == "study" else 1)


def test_each_run_is_where_it_was_left(old: Old) -> None:
    shown = old.before["status"].stdout
    assert "3 done, 1 lost, 1 failed" in shown
    assert re.search(r"rkd +own_model +lost 2/5", shown)
    assert "'ce' is not finite at epoch 0 step 2" in shown
    assert "learning_rate" in old.before["doctor"].stdout


def test_the_old_name_is_said_once_and_counts_under_the_new(old: Old) -> None:
    (line,) = old.run.stderr.splitlines()
    assert line == "note: study.yaml: 'null' (line 5) is now 'ce_scaled'; both names work"
    assert re.search(r"ce_scaled +own_model +done", old.before["status"].stdout)
    only = read("status", "study", "--only", "method=null", root=old.study)
    assert re.search(r"ce_scaled +own_model +done", only.stdout)


def test_nothing_finished_is_trained_again(old: Old) -> None:
    assert "4 of 5 runs done" in old.run.stdout
    now = content(old.study / "experiments")
    finished = [name for name in old.files if name.startswith(("Digits/pure", "Digits/null"))]
    assert len(finished) > 20
    assert {name: now.get(name) for name in finished} == {n: old.files[n] for n in finished}
    assert not any(name.startswith("Digits/ce_scaled") for name in now)


def test_the_killed_run_resumes_from_its_epoch_and_keeps_its_identity(old: Old) -> None:
    assert (
        "attempt 2 starts at epoch 2 step 0"
        in (old.killed / "attempts" / "002" / "train.log").read_text()
    )
    run = json.loads((old.killed / "run.json").read_text())
    result = json.loads((old.killed / "result.json").read_text())
    name = f"{old.expected['killed']['run']}/run.json"
    assert content(old.study / "experiments")[name] == old.files[name]
    assert result["identity"] == run["identity"]


def test_the_killed_run_ends_with_the_bits_of_an_undisturbed_one(old: Old) -> None:
    recorded = [json.loads(line) for line in old.expected["killed"]["metrics"]]
    resumed = epochs(old.killed / "metrics.jsonl")
    undisturbed = old.root / "undisturbed"
    shutil.copytree(old.study, undisturbed)
    again = undisturbed / "experiments" / old.expected["killed"]["run"]
    shutil.rmtree(again)
    typed("run", "study", "--only", "method=rkd", "--device", "cpu", root=undisturbed)
    today = epochs(again / "metrics.jsonl")
    losses = [[one["train"]["total"] for one in those] for those in (recorded, resumed, today)]
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    assert losses[2] == pytest.approx(losses[0], rel=0.02)
    if today[:2] != resumed[:2]:
        pytest.skip("this processor or torch rounds otherwise than the one that wrote the round")
    assert resumed == today
    weights = [(folder / "final.safetensors").read_bytes() for folder in (old.killed, again)]
    assert weights[0] == weights[1]
