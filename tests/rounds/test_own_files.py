"""A round with files of the user's own: tried before it starts, and watched while it goes on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fake_rounds import Bench
from stillhouse.cli.main import app
from stillhouse.config.load import load_round
from stillhouse.errors import ConfigError, RunError
from stillhouse.rounds.check import check_round
from stillhouse.rounds.local import worker_command
from stillhouse.rounds.survey import survey_round
from stillhouse.show.explain import explain
from stillhouse.show.plan import plan
from stillhouse.show.results import seed_tables

EXAMPLES = Path(__file__).parents[2] / "examples"
RUN = "own_dataset/own_method/ResNet20_to_own_model/0"


@pytest.fixture
def mine(tmp_path: Path) -> Bench:
    """A bench whose round is made of the examples, copied beside the round file."""
    shutil.copytree(EXAMPLES, tmp_path / "rounds")
    return Bench(
        tmp_path,
        files=["own_method.py", "own_model.py", "own_dataset.py"],
        datasets=["own_dataset"],
        students=["own_model"],
        methods=["pure", "own_method"],
        seeds=[0],
    )


def change(bench: Bench, name: str, old: str, new: str) -> None:
    path = bench.file.parent / f"{name}.py"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def check(bench: Bench) -> None:
    root = bench.workspace.root
    check_round(bench.workspace, load_round(bench.file), bench.file, None, root / "data")


def test_plan_table_and_explain_know_own_names(mine: Bench) -> None:
    check(mine)
    (planned,) = plan(mine.look(), {})
    assert planned.title == "own_dataset"
    assert planned.rows[-1][:2] == ("own_method", "own_model")
    assert "loss of own_method: 1 ce + 0.1 match (match : ce = 0.1)" in planned.notes
    mine.finish_all([90.0, 80.0, 85.0])
    (table,) = seed_tables(mine.look(), "final")
    assert table.title.startswith("round tiny, Even or odd: test accuracy")
    assert table.rows[-1][:2] == ("Matched logits", "85.00")
    told = dict(explain("own_method", mine.round).rows)
    assert str(told["source"]).startswith("Matched logits (Ba and Caruana 2014")
    assert told["parameters"] == "weight = 0.1"
    assert told["with"] == "own_dataset, ResNet20 to own_model"
    assert told["extra parameters"] == "0 trained"


def test_a_method_that_asks_for_training_images_is_explained_without_the_dataset(
    tmp_path: Path,
) -> None:
    shutil.copytree(EXAMPLES, tmp_path / "rounds")
    bench = Bench(
        tmp_path, files=["own_memory.py"], datasets=["Cifar10"], methods=["own_memory"], seeds=[0]
    )
    told = dict(explain("own_memory", bench.round).rows)
    assert told["parameters"] == "temperature = 4, standardise = false"
    assert str(told["time"]).endswith(" x pure")


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("own_method", "class OwnMethod(Method)", "class OwnMethod", "OwnMethod is not a method"),
        ("own_method", "import Tensor", "import Tenser", "own_method.py:4: ImportError: "),
        ("own_model", "return Small(", "return str(", "own_model.py:30: TypeError: "),
        ("own_model", '"pooled": pooled', '"pool": pooled', "does not return"),
        ("own_dataset", '"own_dataset"', '"mine"', "SPEC: its name is 'mine'"),
        ("own_dataset", "data.load(", "data.lode(", "own_dataset.py:13: AttributeError: "),
    ],
)
def test_what_is_wrong_with_a_file_shows_before_the_round_starts(
    name: str, old: str, new: str, message: str, mine: Bench
) -> None:
    change(mine, name, old, new)
    with pytest.raises(ConfigError) as caught:
        check(mine)
    assert message in caught.value.message


def test_started_runs_refuse_another_content_and_name_the_file(mine: Bench) -> None:
    mine.end(RUN, "stopped")
    change(mine, "own_method", "square()", "abs()")
    with pytest.raises(RunError, match="started with another configuration") as caught:
        check(mine)
    assert f"{RUN}: files.own_method: " in caught.value.message
    change(mine, "own_method", "abs()", "square()")
    check(mine)


def test_tables_say_which_runs_another_content_trained(mine: Bench) -> None:
    mine.finish_all([90.0, 80.0, 85.0])
    change(mine, "own_method", "square()", "abs()")
    survey = survey_round(mine.workspace, load_round(mine.file))
    was, now = (
        cells[-1].config.files[0].sha256[:16] for cells in (mine.look().cells, survey.cells)
    )
    (table,) = seed_tables(survey, "final")
    assert f"Trained with files.own_method {was} (now {now}): {RUN}." in table.notes


def test_a_worker_refuses_runs_that_are_not_those_it_was_started_for(mine: Bench) -> None:
    """The file was edited after `stillhouse run` had read it: the next worker must not mix."""
    root = mine.workspace.root
    cells = [cell for cell in mine.look().cells if cell.config.model == "ResNet20"]
    command = worker_command(mine.file, root, root / "data", "cpu")(cells)
    change(mine, "own_dataset", "labels % 2", "labels // 5")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{mine.file}, or a file it names, was changed since" in done.stderr
    assert not (root / "experiments").exists()


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["status"], "own_method"),
        (["list", "methods", "--round"], "Matched logits"),
        (["list", "datasets", "--round"], "Even or odd"),
    ],
)
def test_looking_does_not_import_torch(arguments: list[str], shown: str, mine: Bench) -> None:
    mine.finish_all([90.0, 80.0, 85.0])
    words = [*arguments, str(mine.file), "--root", str(mine.workspace.root)]
    code = (
        "import sys\nfrom stillhouse.cli.main import app\n"
        f"try:\n    app({words!r})\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


def test_models_lists_own_networks_of_a_round(mine: Bench) -> None:
    answer = CliRunner().invoke(
        app, ["list", "models", "--round", str(mine.file), "--format", "csv"]
    )
    assert answer.stdout.splitlines()[-1].startswith("own_model,")
