"""Every round file of docs/networks.md, typed as it stands, trains."""

from __future__ import annotations

import re
from argparse import Namespace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from small_runs import Lab
from stillhouse import models
from stillhouse.config.expand import expand
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.data.specs import SPECS
from stillhouse.models.named import NamedNetwork, split, suggested
from stillhouse.rounds.check import check_round
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.teacher_files import import_teachers
from stillhouse.rounds.workspace import Workspace

PAGE = Path(__file__).parents[1] / "docs" / "networks.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
ROUNDS = {yaml.safe_load(block)["round"]: block for block in BLOCKS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the page's rounds name: weights of torchvision, and another repository's."""
    home = tmp_path_factory.mktemp("page")
    small = NamedNetwork(name="torchvision/resnet18", label="own", stem="small")
    start = models.build("own", SPECS["Digits"], (), (small,))
    torch.save(start.state_dict(), home / "start.pth")
    lab = Lab(home / "lab", home / "lab", home)
    teacher = lab.run("pure", model="ResNet20", train_images=600, epochs=3)
    lab.train(teacher)
    weights = models.build("ResNet20", SPECS["Digits"])
    weights.load_state_dict(load_file(lab.folder(teacher).final))
    torch.save(
        {"opt": Namespace(model="resnet20"), "model": weights.state_dict()},
        home / "ckpt_epoch_240.pth",
    )
    return home


def test_the_page_has_a_round_for_each_of_its_subjects() -> None:
    assert set(ROUNDS) == {"by_name", "fine_tuned", "borrowed", "two_teachers"}


@pytest.mark.parametrize("name", ROUNDS)
def test_a_round_of_the_page_trains(folder: Path, name: str) -> None:
    file, workspace = folder / f"{name}.yaml", Workspace(folder / name, folder)
    file.write_text(ROUNDS[name])
    round_, lines = load_round(file), list[str]()
    runs = expand(round_)
    check_round(workspace, round_, file, None, None)
    import_teachers(workspace, runs, folder, "cpu", lines.append)
    lab = Lab(workspace.experiments, workspace.experiments, folder)
    for run in map(resolve, runs):
        lab.train(run)
    survey = survey_round(workspace, round_)
    assert {cell.state.name for cell in survey.cells} == {"done"}
    assert [line.split(":")[0] for line in lines] == (
        [f"teacher from {folder / 'ckpt_epoch_240.pth'}"] if name == "borrowed" else []
    )


def test_every_network_of_the_page_is_known() -> None:
    pages = PAGE.read_text() + PAGE.with_name("bring.md").read_text()
    named = re.findall(r"((?:torchvision|timm)/[a-z]\w+)", pages)
    assert len(named) > 5
    assert [name for name in named if split(name) and suggested(name)] == []
