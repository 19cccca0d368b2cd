from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.errors import ConfigError, DataError


def call(*words: str) -> tuple[str, BaseException | None]:
    result = CliRunner().invoke(app, ["data", *words])
    return result.stdout, result.exception


def test_check_of_a_ready_dataset_suggests_a_plan() -> None:
    out, error = call("check", "Digits")
    assert error is None
    assert "Digits" in out
    assert "ready" in out
    assert out.splitlines()[-1] == "next: stillhouse plan ROUND"


def test_check_lists_all_and_fails_with_the_cure(tmp_path: Path) -> None:
    out, error = call("check", "--data-root", str(tmp_path), "--format", "json")
    rows = {row[0]: row[1:] for row in json.loads(out)["rows"]}
    assert list(rows)[:4] == ["Cifar10", "Cifar100", "SVHN", "TinyImageNet"]
    assert rows["Digits"][0] == "ready"
    cure = f"stillhouse data fetch SVHN --data-root {tmp_path}"
    assert rows["SVHN"][0] == "not ready"
    assert rows["SVHN"][2] == cure
    assert isinstance(error, DataError)
    assert error.exit_code == 1
    assert "of 6 datasets are not ready" in error.message


def test_fetch_of_what_is_here(tmp_path: Path) -> None:
    out, error = call("fetch", "Digits", "--data-root", str(tmp_path))
    assert error is None
    assert out.splitlines() == ["Digits: ready", "next: stillhouse plan ROUND"]


@pytest.mark.parametrize("command", ["fetch", "check"])
def test_a_wrong_name_is_wrong_use(command: str) -> None:
    _, error = call(command, "Digits", "Digit")
    assert isinstance(error, ConfigError)
    assert error.exit_code == 2
    assert "did you mean 'Digits'?" in error.hint
