"""docs/recipe.md: each of its blocks of YAML, in a round of its own, trains with one command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from fake_rounds import write_round
from small_runs import Lab
from stillhouse.config.expand import expand
from stillhouse.config.format_1 import is_later
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import Training
from stillhouse.config.yaml_file import read_yaml
from stillhouse.data.augmentation import SETTINGS

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
DEVICE_ONLY = {"tf32", "cuda_graphs"}
SHORT = {"epochs": 4, "batch_size": 64, "train_images": 64}


def read(block: str, folder: Path) -> dict[str, Any]:
    """A block as a round file has it: 1e-3 is a number."""
    file = folder / "block.yaml"
    file.write_text(block)
    return read_yaml(file).data


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: " ".join(block.split()[1:3]))
def test_a_block_trains_as_it_says(block: str, lab: Lab, tmp_path: Path) -> None:
    given = read(block, tmp_path)
    assert {*given} == {"training"}
    file = write_round(
        tmp_path / "round.yaml",
        teacher="ResNetBaby",
        methods=["pure", "logit"],
        seeds=[0],
        training={**SHORT, **given["training"]},
    )
    runs = [resolve(run) for run in expand(load_round(file))]
    lab = Lab(lab.experiments, lab.experiments, lab.data_root)
    for run in runs:
        lab.train(run)
        recorded = json.loads(lab.folder(run).run.read_text())["config"]["training"]
        expected = Training(**{**recorded, **SHORT, **given["training"]})
        assert Training(**recorded) == expected
        assert len(lab.folder(run).records()) == SHORT["epochs"]


def test_every_optimizer_setting_and_augmentation_is_on_the_page() -> None:
    text = PAGE.read_text()
    later = {name for name in Training.model_fields if is_later(f"training.{name}")}
    wanted = {*later, *SETTINGS, *get_args(Training.model_fields["optimizer"].annotation)}
    assert [name for name in sorted(wanted - DEVICE_ONLY) if f"`{name}`" not in text] == []
