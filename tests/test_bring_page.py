"""docs/bring.md: the lines of every row train a round, and everything that is known has a row."""

from __future__ import annotations

import json
import re
import shutil
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torchvision
from safetensors.torch import load_file

import own_pictures
from small_runs import Lab
from stillhouse import models
from stillhouse.config.expand import expand
from stillhouse.config.format_1 import is_later
from stillhouse.config.load import check_parameters, load_round
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import Training
from stillhouse.config.yaml_file import read_yaml
from stillhouse.data.augmentation import SETTINGS
from stillhouse.data.specs import SPECS
from stillhouse.models.named import NamedNetwork, pretrained_file
from stillhouse.plugin import Kind
from stillhouse.rounds.check import check_round
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.teacher_files import import_teachers
from stillhouse.rounds.workspace import Workspace

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "bring.md").read_text()
TABLE = [line for line in TEXT.splitlines() if line.startswith("| ")][1:]
ROWS = {
    what: re.findall(r"`([^`]+)`", cell)
    for what, cell in re.findall(r"^\| (.+) \| (`[^|]+`) \| \[.+\]\(.+\) \|$", TEXT, re.M)
}
BASE: dict[str, Any] = {
    "round": "brought",
    "datasets": ["Digits"],
    "teacher": "ResNetBaby",
    "students": ["ResNetBaby"],
    "methods": ["pure", "logit"],
    "seeds": [0],
}
SHORT = {"epochs": 1, "batch_size": 5, "learning_rate": 0.02, "train_images": 10}
DEVICE_ONLY = {"tf32", "cuda_graphs"}
NO_OPTION = {"name", "label", "sha256"}  # what every network has, and a check of a file

pytestmark = pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")


def trained(home: Path, model: str) -> dict[str, torch.Tensor]:
    """The weights of a network of the round `other`, which is better than chance."""
    lab = Lab(home / "other" / "experiments", home, home)
    run = lab.run("pure", model=model, train_images=400, epochs=3)
    lab.train(run)
    return load_file(lab.folder(run).final)


def named(state: dict[str, torch.Tensor], start: str) -> dict[str, torch.Tensor]:
    return {f"{start}{name}": value for name, value in state.items()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the page speaks of, in the folder `rounds`."""
    home = tmp_path_factory.mktemp("bring")
    here = home / "rounds"
    (here / "weights").mkdir(parents=True)
    state = trained(home, "ResNet20")
    files: dict[str, Any] = {
        "best.pth": state,
        "weights/0.pth": state,
        "ckpt_epoch_240.pth": {"opt": Namespace(model="resnet20"), "model": named(state, "")},
        "mdistiller.pth": {"model": named(state, "module."), "best_acc": np.float32(71.3)},
        "latest": {
            "model": named(state, "module.student.") | named(state, "module.teacher."),
        },
        "cifar10-resnet20.pt": {"model": state, "args": Namespace(seed=None), "best_value": 71.3},
        "start.pth": models.build("torchvision.resnet18", SPECS["Digits"]).state_dict(),
    }
    if find_spec("timm"):
        theirs = trained(home, "timm.resnet18")
        averaged = {"state_dict": theirs, "state_dict_ema": theirs, "args": Namespace(aa=None)}
        files["model_best.pth.tar"] = averaged
    for name, content in files.items():
        torch.save(content, here / name)
    own_pictures.folder(here, {"train": 8, "test": 4})
    own_pictures.npz(here).rename(here / "bloodmnist.npz")
    for name in ("own_dataset.py", "own_model.py", "own_method.py"):
        shutil.copy(ROOT / "examples" / name, here)
    return home


def write(lines: list[str], file: Path) -> Path:
    """A round file with some lines of the page; the rest is `BASE`, short."""
    file.write_text("\n".join(lines) + "\n")
    given = read_yaml(file).data
    rest = {name: value for name, value in BASE.items() if name not in given}
    if "teachers" in given:
        del rest["teacher"]
    if {*given} == {"students"}:
        rest["methods"] = ["pure"]  # a network of a library is large
    rest["training"] = {**SHORT, **given.pop("training", {})}
    kept = [line for line in lines if not line.startswith("training:")]
    file.write_text("\n".join([*kept, *(f"{k}: {json.dumps(v)}" for k, v in rest.items())]))
    return file


@pytest.mark.slow
@pytest.mark.parametrize(("what", "lines"), ROWS.items(), ids=ROWS)
def test_the_lines_of_a_row_train_a_round(
    what: str, lines: list[str], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "timm/" in "".join(lines) and not find_spec("timm"):
        pytest.skip("timm is not installed")
    monkeypatch.setenv("STILLHOUSE_DATA", str(home / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    if "weights: pretrained" in "".join(lines):
        published = pretrained_file("torchvision/resnet18")
        published.parent.mkdir(parents=True)
        torch.save(torchvision.models.resnet18().state_dict(), published)
    file = write(lines, home / "rounds" / f"{tmp_path.name}.yaml")
    workspace = Workspace(tmp_path, file.parent)
    round_, heard = load_round(file), list[str]()
    check_parameters(round_, file)
    runs = [run for run in expand(round_) if run.seed == round_.seeds[0]]
    check_round(workspace, round_, file, None, None)
    import_teachers(workspace, runs, home, "cpu", heard.append)
    lab = Lab(workspace.experiments, workspace.teachers(round_), home)
    changed = list[str]()  # what of published weights does not fit grey digits
    for run in map(resolve, runs):
        lab.train(run, complaints=changed)
        recorded = json.loads(lab.folder(run).run.read_text())
        assert recorded["config"] == run.model_dump(mode="json")
    assert bool(changed) == ("weights: pretrained" in "".join(lines))
    done = [cell for cell in survey_round(workspace, round_).cells if cell.config in runs]
    assert {cell.state.name for cell in done} == {"done"} and len(done) == len(runs)
    assert bool(heard) == (
        "train: false" in "".join(lines) or (".pth" in lines[-1] and len(lines) > 1)
    )


def test_every_row_of_the_page_is_read() -> None:
    assert len(ROWS) == len(TABLE) > 30


def brought(tmp_path: Path) -> list[dict[str, Any]]:
    """The data of the lines of every row."""
    rows = []
    for lines in ROWS.values():
        (tmp_path / "row.yaml").write_text("\n".join(lines))
        rows.append(read_yaml(tmp_path / "row.yaml").data)
    return rows


def test_nothing_that_a_recipe_can_have_is_missing(tmp_path: Path) -> None:
    recipes = [row["training"] for row in brought(tmp_path) if "training" in row]
    optimizers = {recipe.get("optimizer") for recipe in recipes}
    assert {*get_args(Training.model_fields["optimizer"].annotation)} <= optimizers
    assert {*SETTINGS} == {name for one in recipes for name in one.get("augmentation", ())}
    given = {field for recipe in recipes for field in recipe}
    later = {name for name in Training.model_fields if is_later(f"training.{name}")}
    read = {setting for settings in SETTINGS.values() for setting in settings}
    assert sorted((later | read) - DEVICE_ONLY - given) == []


def test_nothing_that_a_network_or_a_dataset_can_have_is_missing(tmp_path: Path) -> None:
    rows = brought(tmp_path)
    networks = [one for row in rows for one in (row.get("teacher"), *row.get("students", ()))]
    options = {option for one in networks if isinstance(one, dict) for option in one}
    assert {*NamedNetwork.model_fields} - NO_OPTION - options == set()
    datasets = [one for row in rows for one in row.get("datasets", ())]
    assert {"folder", "npz"} <= {key for one in datasets if isinstance(one, dict) for key in one}
    files = {Path(name).stem.removeprefix("own_") for row in rows for name in row.get("files", ())}
    assert files == {*get_args(Kind)}


@pytest.mark.parametrize("what", ["SGD", "Adam", "AdamW"])
def test_the_row_of_an_optimizer_uses_it(what: str) -> None:
    assert f"optimizer: {what.lower()}," in "".join(ROWS[what])


@pytest.mark.parametrize("whose", ["RepDistiller", "mdistiller", "torchdistill", "timm", "EMA"])
def test_the_teacher_files_of_every_repository_have_a_row(whose: str) -> None:
    assert [what for what in ROWS if whose in what and "weights:" in "".join(ROWS[what])]
