"""The round file that `plan --new` writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.config.load import check_parameters, load_round
from stillhouse.errors import ConfigError, RunError
from stillhouse.rounds.find import open_round
from stillhouse.rounds.new import TEMPLATE, new_round
from stillhouse.rounds.survey import survey_round


def test_the_file_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["plan", "--new", "mine"])
    assert done.exit_code == 0 and done.stdout.splitlines()[-1] == "next: stillhouse plan mine.yaml"
    file, only = Path("mine.yaml"), "method=logit,seed=0"
    file.write_text(file.read_text().replace("epochs: 10", "epochs: 1"))
    run = ["run", "mine.yaml", "--device", "cpu", "--data-root", "none", "--only", only]
    assert CliRunner().invoke(app, run).exit_code == 0
    workspace, round_, _ = open_round(Path(), "mine")
    cells = survey_round(workspace, round_, only).cells
    assert [(cell.config.method, cell.state.name) for cell in cells] == [
        ("pure", "done"),
        ("logit", "done"),
    ]


def test_what_its_comments_suggest_is_a_round_too(tmp_path: Path) -> None:
    file = new_round(str(tmp_path / "all.yml"))
    lines = file.read_text().splitlines()
    first = lines.index("distillation:")
    optional = [line.removeprefix("# ") for line in lines[first:] if "files:" not in line]
    file.write_text("\n".join([*lines[:first], *optional]).replace("# validation", "validation"))
    round_ = load_round(file)
    check_parameters(round_, file)
    assert round_.sweep["temperature"] == (1, 2, 4, 8)
    assert (round_.training.validation, round_.teachers_from) == (200, "../other")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("mine", "mine.yaml"),
        ("r/mine", "r/mine.yaml"),
        ("mine.yml", "mine.yml"),
        ("v1.2", "v1.2.yaml"),
    ],
)
def test_the_name_is_that_of_the_file(
    name: str, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("r").mkdir()
    assert new_round(name) == Path(file)
    written = yaml.safe_load(Path(file).read_text())
    assert written["round"] == Path(file).stem
    assert set(written) < set(TEMPLATE.replace(":", " ").split())


def test_nothing_is_written_over(tmp_path: Path) -> None:
    file = new_round(str(tmp_path / "mine"))
    file.write_text("round: mine\n")
    with pytest.raises(RunError, match="exists"):
        new_round(str(tmp_path / "mine"))
    assert file.read_text() == "round: mine\n"


@pytest.mark.parametrize("name", ["a b", ".hidden", "", "r/", "ä", "x" * 101])
def test_a_name_that_no_round_can_have_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="--new"):
        new_round(name)
    assert list(tmp_path.iterdir()) == []
