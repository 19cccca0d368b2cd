"""The networks of the CRD benchmark: parameter counts, logits and maps of its own code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from models.benchmark import fill, image, layers_in_order
from stillhouse import models
from stillhouse.data.specs import SPECS
from stillhouse.models.layers import PREACTIVATION

SPEC = SPECS["Cifar100"]
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text())["networks"]
NO_POOLED_MAP_AMONG_GROUPS = {"wrn_16_1", "wrn_16_2", "wrn_40_1", "wrn_40_2"} | {
    "MobileNetV2",
    "ShuffleV2",
}


def test_every_network_is_compared() -> None:
    assert {models.ALIASES.get(name, name) for name in GOLDEN} == {*models.names()}


@pytest.mark.parametrize("name", GOLDEN)
def test_it_is_the_network_of_the_benchmark(name: str) -> None:
    """Same parameters, and the same maps and logits with the same weights."""
    golden, network = GOLDEN[name], models.build(name, SPEC).double().eval()
    assert sum(p.numel() for p in network.parameters()) == golden["parameters"]
    generator = torch.Generator().manual_seed(5)
    for layer in layers_in_order(network):
        fill(layer, generator)
    network.preactivations = True
    with torch.no_grad():
        outputs = network(image())
    tapped = [outputs.features[tap] for tap in ("stem", *network.groups, "pooled")]
    assert [list(value.shape[1:]) for value in tapped] == golden["shapes"]
    norms = [value.norm().item() for value in tapped]
    assert norms == pytest.approx(golden["map_norms"], rel=1e-12)
    assert outputs.logits[0, :4].tolist() == pytest.approx(golden["logits"], rel=1e-9)
    assert outputs.logits.norm().item() == pytest.approx(golden["logits_norm"], rel=1e-12)
    for group in network.groups:
        before = outputs.features.get(PREACTIVATION.format(group))
        if before is not None and not name.startswith("wrn"):
            assert torch.equal(before.relu(), outputs.features[group])


@pytest.mark.parametrize("name", ["resnet8x4", "wrn_16_1", "vgg8", "MobileNetV2", "ShuffleV2"])
def test_the_map_whose_mean_is_pooled_is_known(name: str) -> None:
    shapes = models.shapes(models.build(name, SPEC), SPEC)
    last = "last" if name in NO_POOLED_MAP_AMONG_GROUPS else shapes.groups[-1]
    assert shapes.pooled_map == last


def test_maps_before_activation_are_given_when_asked_for() -> None:
    network = models.build("resnet8x4", SPEC)
    assert "layer1_preact" not in models.shapes(network, SPEC).features
    network.preactivations = True
    assert models.shapes(network, SPEC).features["layer1_preact"] == (64, 32, 32)


@pytest.mark.parametrize("size", [8, 28, 64])
@pytest.mark.parametrize("name", ["wrn_16_1", "vgg8", "MobileNetV2", "ShuffleV1", "ShuffleV2"])
def test_other_sizes_of_images_pass(name: str, size: int) -> None:
    network = models.build(name, SPECS["Digits"]).eval()
    outputs = network(torch.zeros(1, 1, size, size))
    assert outputs.logits.shape == (1, 10)
