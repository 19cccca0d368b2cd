"""The example round, made smaller, trained by the command that users type."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stillhouse.config.expand import expand
from stillhouse.config.load import check_parameters, load_round
from stillhouse.rounds.survey import survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.stats.results import seed_tables

EXAMPLES = Path(__file__).parents[1] / "examples"
ROUND = EXAMPLES / "own_round.yaml"
SHORT = {
    "seeds": [0],
    "datasets": ["own_dataset"],
    "teacher": "own_model",
    "methods": ["own_method"],
    "training": {"epochs": 3, "batch_size": 64, "learning_rate": 0.05},
}


def test_the_example_is_short_and_expands() -> None:
    round_ = load_round(ROUND)
    check_parameters(round_, ROUND)
    assert len(expand(round_)) == 24
    lines = (EXAMPLES / "own_method.py").read_text().splitlines()
    assert sum(bool(line.strip()) for line in lines) <= 25


@pytest.mark.slow
def test_the_example_round_trains_with_one_command(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "mine")
    file = tmp_path / "mine" / "own_round.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(ROUND.read_text()) | SHORT))
    command = [sys.executable, "-m", "stillhouse", "run", str(file), "--root", str(tmp_path)]
    done = subprocess.run(
        [*command, "--device", "cpu", "--jobs", "1"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    seen = survey(Workspace(tmp_path), load_round(file))
    (table,) = seed_tables(seen, "final")
    assert "Even or odd" in table.title
    assert [row[0] for row in table.rows] == ["Teacher (own_model)", "Matched logits"]
    assert all(row[-1] == "1/1" for row in table.rows)
    folder = seen.cells[-1].folder
    assert [record["epoch"] for record in folder.records()] == [1, 2, 3]
    assert set(folder.records()[-1]["train"]) == {"ce", "match", "total", "accuracy"}
    files = json.loads(folder.run.read_text())["config"]["files"]
    assert {Path(file["path"]).name: file["kind"] for file in files} == {
        "own_method.py": "method",
        "own_model.py": "model",
        "own_dataset.py": "dataset",
    }
