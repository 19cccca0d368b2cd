"""What every command and format may show: nothing of a spread below three seeds, plain CSV."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit, write_round
from stillhouse.cli.main import app
from stillhouse.tables import Format

LABELS = {"Dataset", "Title", "dataset", "name", "method", "model", "role", "test", "why"}
WORDS = {"inside", "verdict", "change", "published_status"}
PUBLISHED = "dataset,method,model,seed,accuracy,kind,status,epoch\n"
COMMANDS = (
    ["table"],
    ["table", "--style", "seeds"],
    ["table", "--style", "cost"],
    ["table", "--against", "old"],
)


def fill(bench: Bench, seeds: int) -> None:
    """Sevenths of a percent, so that no mean is a short decimal number."""
    for place, path in enumerate((TEACHER, PURE, LOGIT, RKD)):
        for seed in range(seeds):
            bench.finish(f"{path}/{seed}", 90 - 2 * place + (seed * (place + 3) % 5) / 7)
    counts = {"parameters": 300, "method_parameters": 100, "method_frozen_parameters": 0}
    edit(bench.folder(f"{LOGIT}/0").result, lambda result: result.update(cost=counts))
    bench.workspace.activate(bench.round, bench.file)
    old = [f"Digits,pure,ResNetBaby,{n},8{n}.{n}1,final_epoch,completed,2\n" for n in range(seeds)]
    (bench.file.parent / "old_results.csv").write_text(PUBLISHED + "".join(old))
    write_round(bench.file.parent / "old.yaml", round="old")


@pytest.fixture
def rounds(tmp_path: Path, request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """Two workspaces with as many seeds as the test's parameter says."""
    seeds: int = request.param
    for name in ("first", "second"):
        fill(Bench(tmp_path / name, seeds=list(range(seeds)), round="tiny"), seeds)
    return tmp_path / "first", tmp_path / "second"


def run(words: list[str], root: Path, format: str) -> str:
    command = [words[0], *(() if words[0] == "compare" else ["tiny"]), *words[1:]]
    found = CliRunner().invoke(app, [*command, "--root", str(root), "--format", format])
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.mark.parametrize("format", list(Format))
@pytest.mark.parametrize("rounds", [1, 2], indirect=True)
def test_one_or_two_seeds_have_a_mean_and_no_spread(
    rounds: tuple[Path, Path], format: Format
) -> None:
    root, other = rounds
    compared = ["compare", str(root), str(other)]
    shown = [run(words, root, format) for words in (*COMMANDS, ["observe"], compared)]
    shown[-1] = shown[-1][shown[-1].find("tiny after tiny") :]  # the settings come before
    text = "\n".join(shown)
    assert "90" in text and "86" in text
    assert not re.search(r"±|\$\\pm\$|95 %|CI\]|\+\S+ \[|p = |p <|p Holm|p Welch|McNemar", text)
    if format is Format.csv:
        for output in shown[:-2]:
            for row in csv.DictReader(io.StringIO(output)):
                spread = {"sd", "low", "high", "p", "p_holm", "published_sd"} & set(row)
                assert not any(row[name] for name in spread)


@pytest.mark.parametrize("rounds", [1, 2], indirect=True)
def test_power_refuses_the_spread_of_one_or_two_seeds(rounds: tuple[Path, Path]) -> None:
    done = CliRunner().invoke(app, ["plan", "--power", "tiny", "--root", str(rounds[0])])
    assert done.exit_code != 0 and done.stdout == ""
    assert "it takes three completed and valid seeds" in str(done.exception)


@pytest.mark.parametrize("rounds", [3], indirect=True)
def test_a_csv_has_one_short_number_per_cell(rounds: tuple[Path, Path]) -> None:
    root, other = rounds
    commands = (*COMMANDS, ["plan", "--power"], ["compare", str(root), str(other)])
    numbers = 0
    for words in commands:
        for row in csv.DictReader(io.StringIO(run(words, root, "csv"))):
            for name, cell in row.items():
                if cell and name not in LABELS | WORDS:
                    assert float(cell) == float(f"{float(cell):.6g}"), (words, name, cell)
                    numbers += 1
                if name in WORDS:
                    assert not re.search(r"[0-9]", cell), (words, name, cell)
    assert numbers > 150


@pytest.mark.parametrize("rounds", [3], indirect=True)
def test_each_seed_has_a_column(rounds: tuple[Path, Path]) -> None:
    for words in COMMANDS[:2]:
        (pure, *_) = [
            row
            for row in csv.DictReader(io.StringIO(run(words, rounds[0], "csv")))
            if row["role"] == "pure"
        ]
        assert [float(pure[f"seed_{n}"]) for n in range(3)] == pytest.approx(
            [88.0, 88 + 4 / 7, 88 + 3 / 7], rel=1e-5
        )
        assert (pure["n"], pure["planned"]) == ("3", "3")
