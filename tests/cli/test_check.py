"""`stillhouse check FILE`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stillhouse.cli.main import app
from stillhouse.errors import ConfigError
from stillhouse.training.contract import dataset, model
from stillhouse.training.contract.file import METHOD_CHECKS

EXAMPLES = Path(__file__).parents[2] / "examples"


def check(file: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["check", str(file), "--format", "json", *words])


@pytest.mark.parametrize(
    ("name", "checks"),
    [
        ("own_method", METHOD_CHECKS),
        ("own_model", model.CHECKS),
        ("own_dataset", dataset.CHECKS),
    ],
)
def test_the_examples_pass_every_check_of_their_kind(name: str, checks: dict[str, object]) -> None:
    answer = check(EXAMPLES / f"{name}.py")
    table = json.loads(answer.stdout)
    failed = [row for row in table["rows"] if row[1] != "passed"]
    assert (answer.exit_code, failed) == (0, [])
    assert [row[0] for row in table["rows"]] == [*checks]
    assert answer.stderr.splitlines()[-1] == "next: stillhouse plan ROUND"


def test_a_broken_file_exits_with_1_and_says_why(tmp_path: Path) -> None:
    text = (EXAMPLES / "own_dataset.py").read_text().replace('odd")', 'odd", mean=(0.5,))')
    file = tmp_path / "own_dataset.py"
    file.write_text(text)
    answer = check(file)
    assert answer.exit_code == 1
    table = json.loads(answer.stdout)
    assert table["title"] == "dataset own_dataset: 4 of 5 checks passed"
    (row,) = [row for row in table["rows"] if row[1] == "FAILED"]
    assert row[2].startswith(f"{file}: mean is specified as (0.5,), the images have (0.3052,)")
    assert answer.stderr.splitlines()[-1] == f"next: stillhouse check {file}"


def test_one_bug_is_one_row_with_its_line_and_the_number_of_checks_it_breaks(
    tmp_path: Path,
) -> None:
    text = (EXAMPLES / "own_model.py").read_text()
    file = tmp_path / "own_model.py"
    file.write_text(text.replace("return Outputs(", "return Output("))
    answer = check(file)
    table = json.loads(answer.stdout)
    assert table["title"] == "model own_model: 1 of 10 checks passed"
    row, seed = table["rows"]
    assert row[:2] == ["outputs have the documented shapes and 8 more", "FAILED"]
    assert row[2].startswith(f"{file}:") and "NameError: name 'Output' is not defined" in row[2]
    assert seed[:2] == ["the seed decides its weights", "passed"]


def test_a_model_can_be_for_images_of_one_size(tmp_path: Path) -> None:
    text = (EXAMPLES / "own_model.py").read_text()
    file = tmp_path / "own_model.py"
    file.write_text(text.replace("nn.Linear(32, classes)", "nn.Linear(32, 100)"))
    assert check(file).exit_code == 1
    assert check(file, "--images", "Cifar100").exit_code == 0


def test_what_is_no_such_file_is_used_wrongly(tmp_path: Path) -> None:
    answer = check(tmp_path / "gone.py")
    assert isinstance(answer.exception, ConfigError)
    assert answer.exception.exit_code == 2
