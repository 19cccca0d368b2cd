"""docs/own-images.md: every block of YAML is a round, and its three commands end in a report."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import own_pictures
from stillhouse import data
from stillhouse.cli.main import app
from stillhouse.config.expand import expand
from stillhouse.config.load import check_parameters, load_round
from stillhouse.config.own_images import ImageSource
from stillhouse.config.schema import Keep

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "own-images.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.M | re.S)
LINES = re.findall(r"`(datasets: \[.*?\])`", TEXT)
REST = "\nround: a\nteacher: ResNet20\nstudents: [ResNetBaby]\nmethods: [pure]\nseeds: [0]\n"

pytestmark = pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with the images that the page speaks of."""
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    own_pictures.npz(tmp_path).rename("bloodmnist.npz")
    own_pictures.folder(tmp_path, {".": 8})
    (tmp_path / "own_dataset.py").write_text((ROOT / "examples" / "own_dataset.py").read_text())


@pytest.mark.parametrize(
    "text", [*BLOCKS, *(line + REST + "files: [own_dataset.py]" for line in LINES)]
)
def test_what_the_page_writes_is_a_round(text: str) -> None:
    file = Path("page.yaml")
    file.write_text(text)
    round_ = load_round(file)
    check_parameters(round_, file)
    assert len(expand(round_)) >= len(round_.datasets)
    assert all(data.spec(name, round_.files).test_images for name in round_.datasets)


def test_every_field_is_on_the_page() -> None:
    assert len(BLOCKS) >= 4 and LINES
    wanted = {*ImageSource.model_fields, *(f"keep: {name}" for name in Keep.model_fields)}
    assert [name for name in sorted(wanted) if f"{name}:" not in TEXT and name not in TEXT] == []


@pytest.mark.slow
def test_three_commands_lead_from_a_folder_to_a_report(tmp_path: Path) -> None:
    shutil.rmtree("flowers")
    for part in ("train/0", "train/1", "test/0", "test/1"):
        shutil.copytree(ROOT / "examples" / "pictures" / part, Path("flowers") / part)
    commands = re.findall(r"^stillhouse (.*?)(?: +#.*)?$", TEXT, re.M)[:3]
    for command in commands:
        words = command.split() + ["--device", "cpu"] * (command.split()[0] == "run")
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        if words[0] == "plan":
            file = Path("mine.yaml")
            short = re.sub(r"epochs: \d+", "epochs: 3", file.read_text())
            file.write_text(short.replace("[0, 1, 2]", "[0]").replace("logit, rkd", "logit"))
    report = tmp_path / "analysis" / "experiment_mine" / "report.html"
    text = report.read_text()
    assert "flowers" in text
