"""The round file that `plan --new` writes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

import own_pictures
from stillhouse import data
from stillhouse.cli.main import app
from stillhouse.config.load import check_parameters, load_round
from stillhouse.errors import ConfigError, DataError, RunError
from stillhouse.rounds.find import open_round
from stillhouse.rounds.new import RATES, TEMPLATE, new_round
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


@pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")
class TestFolder:
    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "data"))
        monkeypatch.chdir(tmp_path)

    def test_a_folder_of_images_is_a_round_that_can_be_run(self, tmp_path: Path) -> None:
        own_pictures.folder(tmp_path, {"train": 20, "val": 4, "test": 6})
        Path("r").mkdir()
        done = CliRunner().invoke(app, ["plan", "--new", "r/mine", "--folder", "flowers"])
        assert done.stdout.splitlines()[-1] == "next: stillhouse run r/mine.yaml"
        round_ = load_round(Path("r/mine.yaml"))
        check_parameters(round_, Path("r/mine.yaml"))
        spec = data.spec("flowers", round_.files)
        assert (spec.size, spec.train_images, spec.validation_images) == (8, 48, 8)
        assert round_.training.batch_size <= 40
        assert (
            "2 classes; 40 training, 8 validation and 12 test images"
            in Path("r/mine.yaml").read_text()
        )

    def test_an_npz_file_too_and_a_name_that_yaml_would_not_take(self, tmp_path: Path) -> None:
        own_pictures.npz(tmp_path).rename(tmp_path / "2 # big.npz")
        file = new_round("mine", Path("2 # big.npz"))
        round_ = load_round(file)
        assert (round_.datasets, round_.files[0].name) == (("images_2___big",), "images_2___big")

    @pytest.mark.parametrize(
        ("width", "height", "size"), [(100, 80, 64), (50, 40, 32), (40, 40, 40), (20, 16, 16)]
    )
    def test_the_size_suits_the_images(
        self, tmp_path: Path, width: int, height: int, size: int
    ) -> None:
        for number, path in enumerate(sorted(own_pictures.folder(tmp_path).rglob("*.png"))):
            own_pictures.save(path, own_pictures.colour(number), size=(width, height))
        round_ = load_round(new_round("mine", Path("flowers")))
        assert data.spec("flowers", round_.files).size == size

    def test_images_that_cannot_be_used_leave_no_file(self, tmp_path: Path) -> None:
        (own_pictures.folder(tmp_path) / "train" / "a" / "x.png").write_bytes(b"no image")
        with pytest.raises(DataError, match=r"x\.png"):
            new_round("mine", Path("flowers"))
        with pytest.raises(ConfigError, match="nowhere"):
            new_round("mine", Path("nowhere"))
        assert not Path("mine.yaml").exists()

    def test_folder_needs_new(self) -> None:
        done = CliRunner().invoke(app, ["plan", "--folder", "flowers"])
        assert done.exit_code != 0


def test_the_learning_rate_of_own_images_is_in_proportion_to_the_batch() -> None:
    assert {float(rate) / size for size, rate in RATES.items()} == {0.05 / 64}
