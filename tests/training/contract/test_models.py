"""The contract of models: those built in keep it, and each check catches a broken one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse import models
from stillhouse.data.specs import SPECS
from stillhouse.plugin import read_plugin
from stillhouse.training.contract.model import CHECKS, ModelCase
from stillhouse.training.contract.setup import unusual_network_file
from stillhouse.training.contract.verdict import run_checks

SOUND = """
import torch
from torch import nn
from stillhouse.models.base import Network, Outputs

class Bent(Network):
    groups = ("first", "second")

    def __init__(self, classes, channels):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(channels, 4, 3, bias=False), nn.BatchNorm2d(4))
        self.second = nn.Sequential(nn.Conv2d(4, 8, 3, 2, bias=False), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, classes)

    def forward(self, images):
        first = torch.relu(self.first(images))
        second = torch.relu(self.second(first))
        features = {"first": first, "second": second, "pooled": second.mean(dim=(2, 3))}
        logits = self.head(features["pooled"])
        return Outputs(logits, features)

def build(classes, channels):
    return Bent(classes, channels)
"""
LOGITS = 'logits = self.head(features["pooled"])'
RETURN = "return Outputs(logits, features)"
SHAPES = "outputs have the documented shapes"


def put(old: str, new: str) -> str:
    assert SOUND.count(old) == 1
    return SOUND.replace(old, new)


BROKEN: list[tuple[str, str, str]] = [
    (SHAPES, put(RETURN, "return logits"), "forward returns Tensor, not Outputs"),
    (SHAPES, put("nn.Linear(8, classes)", "nn.Linear(8, 3)"), "logits are (4, 3), not (4, 10)"),
    (SHAPES, put('("first", "second")', "()"), "groups is empty"),
    (SHAPES, put('("first", "second")', '("first", "third")'), "features lack ['third']"),
    (SHAPES, put('("first", "second")', '("second", "first")'), "come in the order"),
    (
        SHAPES,
        put('{"first": first', '{"first": first.permute(0, 2, 3, 1)'),
        "feature first is (4, 30, 30, 4), which looks like (batch, height, width, channels)",
    ),
    (SHAPES, put('{"first": first', '{"first": first.flatten(1)'), "feature first is (4, 3600)"),
    (
        "the head maps pooled to the logits",
        put(LOGITS, LOGITS + " + 1"),
        "head(pooled) is not the logits: they are up to 1 apart",
    ),
    (
        "the head maps pooled to the logits",
        SOUND.replace("self.head", "self.classifier"),
        "it has no head",
    ),
    (
        "the head maps pooled to the logits",
        """
from torch import nn
from stillhouse.models.tapped import Tapped

class Scaled(nn.Module):
    def __init__(self, classes, channels):
        super().__init__()
        self.body = nn.Conv2d(channels, 8, 3, 2)
        self.head = nn.Linear(8, classes)

    def forward(self, images):
        return 2 * self.head(self.body(images).mean(dim=(2, 3)))

def build(classes, channels):
    return Tapped(Scaled(classes, channels), {"body": "body"}, head="head")
""",
        "head(pooled) is not the logits: they are up to",
    ),
    (
        "its state survives a file",
        put("self.head =", "self.other = self.first\n        self.head ="),
        "first.0.weight and other.0.weight",
    ),
    (
        "the seed decides its weights",
        put("return Bent(", "torch.seed(); return Bent("),
        "differs between two builds of a seed",
    ),
    (
        "the seed decides its weights",
        put("return Bent(", "torch.manual_seed(3); return Bent("),
        "another seed gives the same weights",
    ),
    (
        "an image's outputs do not depend on its batch",
        put(RETURN, "logits = logits - logits.mean(dim=0)\n        " + RETURN),
        "the logits of an image depend on its batch",
    ),
    (
        "a forward pass in eval mode changes nothing",
        put(RETURN, "logits = logits + torch.rand(1)\n        " + RETURN),
        "two forward passes of the same images differ",
    ),
    (
        "a forward pass in eval mode changes nothing",
        SOUND.replace("nn.BatchNorm2d(4)", "Keeping(4)").replace(
            "class Bent",
            "class Keeping(nn.BatchNorm2d):\n    def forward(self, x):\n        "
            "self.num_batches_tracked += 1\n        return super().forward(x)\n\nclass Bent",
        ),
        "first.1.num_batches_tracked changes in eval mode",
    ),
    (
        "its state survives a file",
        put("self.head =", "self.scale = torch.rand(1)\n        self.head =").replace(
            LOGITS, LOGITS + " * self.scale"
        ),
        "its outputs change after its weights were saved and loaded",
    ),
    (
        "a copy shares nothing with the network",
        SOUND + "\nBent.__deepcopy__ = lambda self, memo: self\n",
        "training a copy changes the network",
    ),
    *(
        (f"a step trains in {precision}", text, reason)
        for precision, text, reason in (
            (
                "fp32",
                put("self.head =", "self.unused = nn.Linear(2, 2)\n        self.head ="),
                "unused.weight is not trained by cross entropy",
            ),
            (
                "bf16",
                put(RETURN, "logits.detach().numpy()\n        " + RETURN),
                "TypeError: Got unsupported ScalarType BFloat16",
            ),
            (
                "fp16",
                put(RETURN, "logits = logits + (logits * 0).sum().sqrt()\n        " + RETURN),
                "skipped 50 steps in a row",
            ),
        )
    ),
]


SMALL = (
    "ResNet20",
    "ResNetBaby",
    "unusual_network",
    "wrn_16_1",
    "vgg8",
    "MobileNetV2",
    "ShuffleV1",
    "ShuffleV2",
)
LARGE = [name for name in models.names() if name not in SMALL]
PRODUCT = pytest.mark.product


def in_default(name: str, check: str) -> bool:
    """A CPU takes seconds for a step of grouped convolutions in half precision."""
    return name in SMALL[:3] or (name in SMALL and "16" not in check)


def verdict(folder: Path, text: str, check: str) -> str:
    path = folder / "bent_network.py"
    path.write_text(text)
    case = ModelCase("bent_network", (read_plugin(path),))
    (found,) = run_checks({check: CHECKS[check]}, case)
    return found.reason


@pytest.mark.parametrize(
    ("name", "check"),
    [
        pytest.param(name, check, marks=[] if in_default(name, check) else PRODUCT)
        for name in (*SMALL, *LARGE)
        for check in CHECKS
    ],
)
def test_contract(name: str, check: str) -> None:
    """MobileNetV2 has 32 pixels: at 8 its deepest maps have one value, and it diverges."""
    spec = SPECS["Cifar10" if name == "MobileNetV2" else "Digits"]
    CHECKS[check](ModelCase(name, (unusual_network_file(),), spec))


def test_a_small_network_of_every_family_is_checked_by_default() -> None:
    """All but ResNet50, whose blocks are checked in `make contract`, with every other network."""
    families = {models.NETWORKS[name][0] for name in SMALL if name in models.NETWORKS}
    assert families == {family for family, _ in models.NETWORKS.values()} - {"resnet50"}


def test_every_check_has_a_model_that_it_catches() -> None:
    assert {check for check, _, _ in BROKEN} == {*CHECKS}


@pytest.mark.parametrize(("check", "text", "reason"), BROKEN, ids=[b[0] for b in BROKEN])
def test_caught(check: str, text: str, reason: str, tmp_path: Path) -> None:
    assert reason in verdict(tmp_path, text, check)


@pytest.mark.parametrize("check", CHECKS)
def test_the_sound_model_passes(check: str, tmp_path: Path) -> None:
    assert verdict(tmp_path, SOUND, check) == ""
