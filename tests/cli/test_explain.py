"""The commands that list what there is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stillhouse import data, methods, models
from stillhouse.cli.main import app

DIGITS = str(Path(__file__).parents[2] / "rounds" / "digits.yaml")
NEXT = {
    "methods": "next: stillhouse list methods logit",
    "models": "next: stillhouse list datasets",
    "datasets": "next: stillhouse data check",
}


@pytest.mark.parametrize(
    ("command", "names"),
    [("methods", methods.names()), ("models", models.names()), ("datasets", data.names())],
)
def test_a_listing_names_everything_and_the_next_command(command: str, names: list[str]) -> None:
    plain = CliRunner().invoke(app, ["list", command, "--format", "md"])
    assert plain.exit_code == 0
    assert plain.stdout.splitlines()[-1] == NEXT[command]
    parsed = json.loads(CliRunner().invoke(app, ["list", command, "--format", "json"]).stdout)
    first = parsed["columns"][0]
    assert [row[first] if isinstance(row, dict) else row[0] for row in parsed["rows"]] == names


def test_models_gives_the_published_size() -> None:
    parsed = json.loads(CliRunner().invoke(app, ["list", "models", "--format", "json"]).stdout)
    rows = [[*row.values()] if isinstance(row, dict) else row for row in parsed["rows"]]
    assert {row[0]: row[1] for row in rows}["ResNet112"] == 1_736_564


def test_explain_with_a_round() -> None:
    words = ["list", "methods", "logit", "--round", DIGITS, "--format", "json"]
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == 0
    assert "kd : ce = 9" in answer.stdout
    json.loads(answer.stdout)
