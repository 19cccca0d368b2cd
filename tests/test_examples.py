"""The example round, made smaller, trained by the command that users type."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml

from stillhouse import data
from stillhouse.config.expand import expand
from stillhouse.config.load import check_parameters, load_round
from stillhouse.methods.logit import kd_loss
from stillhouse.models.base import Outputs
from stillhouse.plugin import read_plugin
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.results import seed_tables
from stillhouse.training.contract.file import METHOD_CHECKS
from stillhouse.training.contract.setup import MethodCase

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


def own_memory() -> MethodCase:
    return MethodCase("own_memory", (read_plugin(EXAMPLES / "own_memory.py"),))


@pytest.mark.parametrize(
    "check",
    [
        "label and taught_by are literals",
        "Config has defaults and survives JSON",
        "weights name exactly the terms",
        "its state survives a file",
        "finite gradients: duplicate images",
        "a resumed run is the uninterrupted one",
    ],
)
def test_the_memory_keeps_the_contract(check: str) -> None:
    """One check of each kind: `stillhouse check` runs all of them."""
    METHOD_CHECKS[check](own_memory())


def test_the_memory_holds_the_mean_of_what_the_teacher_said_of_an_image() -> None:
    setup = own_memory().setup()
    student = setup.forward(setup.student)
    taught = setup.forward(setup.teacher)
    plain = kd_loss(student.logits, taught.logits, 4.0)
    changed = Outputs(taught.logits * 3, {})
    mean = kd_loss(student.logits, taught.logits * 2, 4.0)
    first, second = (setup.method.terms(student, t, setup.batch)["kd"] for t in (taught, changed))
    torch.testing.assert_close(torch.stack([first, second]), torch.stack([plain, mean]))
    answers = setup.method.get_buffer("answers")
    assert torch.equal(answers.any(dim=1).nonzero().flatten(), setup.batch.ids)
    torch.testing.assert_close(answers[setup.batch.ids], taught.logits * 2)
    setup.method.eval().terms(student, taught, setup.batch)
    assert int(setup.method.get_buffer("views").max()) == 2


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
    survey = survey_round(Workspace(tmp_path), load_round(file))
    (table,) = seed_tables(survey, "final")
    assert "Even or odd" in table.title
    assert [row[0] for row in table.rows] == ["Teacher (own_model)", "Matched logits"]
    assert all(row[-1] == "1/1" for row in table.rows)
    folder = survey.cells[-1].folder
    assert [record["epoch"] for record in folder.records()] == [1, 2, 3]
    assert set(folder.records()[-1]["train"]) == {"ce", "match", "total", "accuracy"}
    files = json.loads(folder.run.read_text())["config"]["files"]
    assert {Path(file["path"]).name: file["kind"] for file in files} == {
        "own_method.py": "method",
        "own_model.py": "model",
        "own_dataset.py": "dataset",
    }


@pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")
def test_the_pictures_are_a_round_of_nine_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path))
    round_ = load_round(EXAMPLES / "pictures.yaml")
    check_parameters(round_, EXAMPLES / "pictures.yaml")
    spec = data.spec("pictures", round_.files)
    assert (spec.classes, spec.channels, spec.size) == (10, 1, 16)
    assert (spec.train_images, spec.test_images, len(expand(round_))) == (400, 100, 9)
