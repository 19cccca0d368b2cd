"""Networks in round files: by name, with options, and which of it is the identity of a run."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torchvision

from fake_rounds import write_round
from stillhouse.config.expand import expand
from stillhouse.config.identity import counted, identity
from stillhouse.config.load import load_round
from stillhouse.config.schema import RunConfig
from stillhouse.errors import ConfigError

WEIGHTS = b"weights"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "w.pth").write_bytes(WEIGHTS)
    return tmp_path


def runs(folder: Path, **changes: Any) -> dict[str, RunConfig]:
    file = write_round(folder / "round.yaml", **changes)
    return {run.path: run for run in expand(load_round(file))}


def error(folder: Path, **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        runs(folder, **changes)
    return str(caught.value)


def test_a_slash_is_a_dot_in_the_paths_of_runs(folder: Path) -> None:
    found = runs(folder, teacher="torchvision/resnet34", students=["torchvision/resnet18"])
    assert "Digits/logit/torchvision.resnet34_to_torchvision.resnet18/0" in found
    assert "Digits/pure/torchvision.resnet18/1" in found


def test_options_are_the_identity_and_the_place_of_the_file_is_not(folder: Path) -> None:
    def student(**options: Any) -> RunConfig:
        network = {"name": "torchvision/resnet18", **options}
        return runs(folder, students=[network])["Digits/pure/torchvision.resnet18/0"]

    plain, small = student(), student(stem="small")
    assert "networks" not in counted(plain)
    assert counted(small)["networks"] == {
        "torchvision.resnet18": {"name": "torchvision/resnet18", "stem": "small"}
    }
    first = student(weights="w.pth")
    (folder / "other").mkdir()
    (folder / "w.pth").rename(folder / "other" / "v.pth")
    moved = student(weights="other/v.pth")
    (folder / "other" / "v.pth").write_bytes(b"others")
    changed = student(weights="other/v.pth")
    assert first.networks[0].sha256 == sha256(WEIGHTS).hexdigest()
    assert identity(first) == identity(moved)
    assert len({identity(one) for one in (plain, small, first, changed)}) == 4


def test_only_the_networks_of_a_run_are_its_identity(folder: Path) -> None:
    small = {"name": "torchvision/resnet18", "stem": "small"}
    with_options = runs(folder, students=["ResNetBaby", small])
    without = runs(folder)
    path = "Digits/logit/ResNet20_to_ResNetBaby/0"
    assert identity(with_options[path]) == identity(without[path])


def test_a_record_keeps_the_options(folder: Path) -> None:
    network = {"name": "ResNetBaby", "as": "own", "normalise": [[0.5], [0.25]]}
    run = runs(folder, students=[network])["Digits/rkd/ResNet20_to_own/0"]
    assert RunConfig.model_validate(run.model_dump(mode="json")) == run


def test_a_frozen_teacher_is_the_same_for_all_seeds_and_not_trained(folder: Path) -> None:
    teacher = {"name": "ResNet20", "weights": "w.pth", "train": False}
    found = runs(folder, teacher=teacher)
    assert not any(path.startswith("Digits/pure/ResNet20") for path in found)
    taught = {run.teacher_path for run in found.values() if run.method == "logit"}
    assert taught == {"Digits/pure/ResNet20/0"}


def test_pretrained_weights_are_the_file_of_torch_hub(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(folder))
    url = torchvision.models.ResNet18_Weights.DEFAULT.url
    cached = folder / "hub" / "checkpoints" / url.rpartition("/")[2]
    network = {"name": "torchvision/resnet18", "weights": "pretrained"}
    (before,) = runs(
        folder, students=[network], methods=["pure"], seeds=[0], teacher=network
    ).values()
    assert before.networks[0].sha256 is None
    cached.parent.mkdir(parents=True)
    cached.write_bytes(WEIGHTS)
    (after,) = runs(
        folder, students=[network], methods=["pure"], seeds=[0], teacher=network
    ).values()
    assert after.networks[0].weights == str(cached)
    assert after.networks[0].sha256 == sha256(WEIGHTS).hexdigest()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"students": ["torchvision/resnet81"]}, "torchvision/resnet18"),
        ({"students": [{"name": "torchvision/resnet18", "stemm": "small"}]}, "stem"),
        ({"students": [{"name": "torchvision/resnet18", "stem": "tiny"}]}, "published, small"),
        ({"students": [{"name": "ResNetBaby", "stem": "small"}]}, "torchvision and timm"),
        ({"students": [{"stem": "small"}]}, "name"),
        ({"students": [{"name": "ResNetBaby", "train": False}]}, "a student is trained"),
        ({"teacher": {"name": "ResNet20", "train": False}}, "without weights"),
        ({"teacher": {"name": "ResNet20", "as": "a_to_b"}}, "_to_"),
        ({"teacher": {"name": "ResNet20", "as": "ResNet56"}}, "taken"),
        ({"teacher": {"name": "ResNet20", "sha256": "0" * 64}}, "weights"),
        ({"teacher": {"name": "ResNet20", "weights": "w.pth", "sha256": "0" * 64}}, "SHA-256"),
        ({"teacher": {"name": "ResNet20", "weights": "pretrained"}}, "torchvision and timm"),
        ({"networks": []}, "unknown field"),
        (
            {
                "teacher": {"name": "torchvision/resnet18", "stem": "small"},
                "students": ["torchvision/resnet18"],
            },
            "as:",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(folder: Path, changes: dict[str, Any], what: str) -> None:
    assert what in error(folder, **changes)
    assert "round.yaml:" in error(folder, **changes)


def test_two_networks_of_one_name_get_names(folder: Path) -> None:
    small = {"name": "torchvision/resnet18", "stem": "small", "as": "resnet18_small"}
    found = runs(folder, teacher="torchvision/resnet18", students=[small])
    assert "Digits/logit/torchvision.resnet18_to_resnet18_small/0" in found
