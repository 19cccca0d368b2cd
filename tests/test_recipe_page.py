"""docs/recipe.md: each of its blocks of YAML, in a round of its own, trains with one command."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab import Lab
from stillhouse.config.expand import expand
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import Training
from stillhouse.config.yaml_file import read_yaml
from workbench import write_round

PAGE = Path(__file__).parents[1] / "docs" / "recipe.md"
BLOCKS = re.findall(r"^## (.+?)\n.*?^```yaml\n(.*?)^```", PAGE.read_text(), re.M | re.S)
SHORT = {"epochs": 4, "batch_size": 64, "train_images": 64}


def read(block: str, folder: Path) -> dict[str, Any]:
    """A block as a round file has it: 1e-3 is a number."""
    file = folder / "block.yaml"
    file.write_text(block)
    return read_yaml(file).data


@pytest.mark.parametrize(("title", "block"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_a_block_trains_as_it_says(title: str, block: str, lab: Lab, tmp_path: Path) -> None:
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


def test_the_page_names_every_field_that_it_has_blocks_for(tmp_path: Path) -> None:
    named = {field for _, block in BLOCKS for field in read(block, tmp_path)["training"]}
    assert {"optimizer", "betas", "decay_norms_and_biases", "clip_grad_norm", "ema_decay"} <= named
    assert "step_factor" in named
