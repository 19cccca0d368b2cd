from __future__ import annotations

import pytest
import torch

from stillhouse.data.specs import SPECS
from stillhouse.models.resnet import ResNet
from stillhouse.represent.network import multiply_adds


@pytest.mark.parametrize(
    ("blocks", "published"),
    [
        (1, 12.5),  # ResNet8: MLPerf Tiny (Banbury et al. 2021, arXiv:2106.07597)
        (3, 40.81),  # ResNet20: pytorch-cifar-models
        (9, 125.49),  # ResNet56: HRank (Lin et al. 2020, arXiv:2002.10179), table 2
        (18, 252.89),  # ResNet110: the same
    ],
)
def test_multiply_adds_of_the_resnets_are_the_published_ones(blocks: int, published: float) -> None:
    network = ResNet(blocks, classes=10).eval()
    found = multiply_adds(network, SPECS["Cifar10"], torch.device("cpu")) / 1e6
    assert found == pytest.approx(published, rel=0.02)
