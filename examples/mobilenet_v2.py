"""torchvision's MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381) for images of 8 to 64 pixels.

A file of one's own that turns any `nn.Module` into a network a round can name.
"""

from torch import nn
from torchvision.models import mobilenet_v2

from stillhouse.models.base import Network
from stillhouse.models.tapped import Tapped

# Expansion, channels, blocks, stride: table 2 of the paper, with stride 1 where maps are still
# large; with the stem's, small images keep four times the size they would have.
STAGES = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]
# The last block of each map size: for an image of S pixels S, S/2, S/4 and S/8.
TAPS = {
    "layer1": "features.3",
    "layer2": "features.6",
    "layer3": "features.13",
    "layer4": "features.17",
}


def build(classes: int, channels: int) -> Network:
    """A fresh network; `pooled` has 1280 channels, dropout included in training."""
    module = mobilenet_v2(num_classes=classes, inverted_residual_setting=STAGES)
    stem = nn.Conv2d(channels, 32, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out")
    module.features[0][0] = stem
    return Tapped(module, TAPS, head="classifier.1")
