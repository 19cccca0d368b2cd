from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from stillhouse import models
from stillhouse.data.specs import SPECS
from stillhouse.errors import ConfigError

PARAMETERS = {  # at 100 classes and 3 channels, summed layer by layer
    "ResNet112": 1_736_564,
    "ResNet56": 861_620,
    "ResNet20": 278_324,
    "ResNetBaby": 83_892,
}


def counted(blocks: int, classes: int) -> int:
    """Parameters from the definition: convolutions, batch norms, projections, classifier."""
    total, channels_in = 3 * 16 * 9 + 2 * 16, 16
    for channels in (16, 32, 64):
        for block in range(blocks):
            first = channels_in if block == 0 else channels
            total += 9 * first * channels + 9 * channels * channels + 4 * channels
            if first != channels:
                total += first * channels + 2 * channels
        channels_in = channels
    return total + 64 * classes + classes


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items())
def test_parameter_counts_are_the_fields(name: str, parameters: int) -> None:
    network = models.build(name, SPECS["Cifar100"])
    assert sum(p.numel() for p in network.parameters()) == parameters
    assert counted(models.NETWORKS[name][1][0], 100) == parameters


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_features_have_the_documented_shapes(channels: int, size: int) -> None:
    spec = replace(SPECS["Digits"], classes=7, channels=channels, size=size)
    found = models.shapes(models.build("ResNetBaby", spec), spec)
    assert found.classes == 7
    assert found.groups == ("layer1", "layer2", "layer3")
    half, quarter = -(-size // 2), -(-size // 4)
    assert found.features == {
        "stem": (16, size, size),
        "layer1": (16, size, size),
        "layer2": (32, half, half),
        "layer3": (64, quarter, quarter),
        "pooled": (64,),
    }


def test_the_head_maps_the_pooled_embedding_to_logits() -> None:
    network = models.build("ResNetBaby", SPECS["Digits"]).eval()
    outputs = network(torch.randn(2, 1, 8, 8))
    assert torch.equal(network.head(outputs.features["pooled"]), outputs.logits)


def test_looking_at_shapes_leaves_batch_norm_as_it_was() -> None:
    network = models.build("ResNetBaby", SPECS["Digits"]).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    models.shapes(network, SPECS["Digits"])
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_an_unknown_name_gets_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'ResNet56'"):
        models.build("Resnet56", SPECS["Cifar10"])
