"""ShuffleNetV2 1x (Ma et al. 2018, arXiv:1807.11164) for 32 pixels.

torchvision's network with a 1x1 stem and no pooling after it, which is the CRD benchmark's: the
same parameters and logits.
"""

from __future__ import annotations

from torch import nn
from torchvision.models import shufflenet_v2_x1_0

from stillhouse.models.tapped import Tapped

STEM = 24
TAPS = {
    "stem": "conv1",
    "layer1": "stage2",
    "layer2": "stage3",
    "layer3": "stage4",
    "last": "conv5",
}


def build(classes: int, channels: int) -> Tapped:
    """Return the network; its features for 32 x 32 images have 32, 16, 8, 4 and 4 pixels a side.

    `pooled` (1024) is the mean of `last`.
    """
    network = shufflenet_v2_x1_0(num_classes=classes)
    network.conv1 = nn.Sequential(
        nn.Conv2d(channels, STEM, 1, bias=False), nn.BatchNorm2d(STEM), nn.ReLU()
    )
    network.maxpool = nn.Identity()
    return Tapped(network, TAPS, head="fc", groups=("layer1", "layer2", "layer3"))
