"""Students and teachers for tests: the study's networks, and pairs that have little in common."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import mobilenet_v2

from stillhouse import methods, models
from stillhouse.data.base import Batch
from stillhouse.data.specs import SPECS
from stillhouse.methods.base import Method
from stillhouse.models.base import Network, Outputs

CLASSES = 10
SIZE = 16
SPEC = SPECS["Cifar10"]


class Odd(Network):
    """Four groups whose channels and map sizes (15, 7, 3, 2 from 16 pixels) no ResNet has."""

    groups = ("a", "b", "c", "d")

    def __init__(self) -> None:
        super().__init__()
        sizes = [(3, 12, 2, 1), (12, 20, 3, 2), (20, 28, 3, 2), (28, 36, 2, 1)]
        self.convs = nn.ModuleList(nn.Conv2d(i, o, k, s) for i, o, k, s in sizes)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o) for _, o, _, _ in sizes)
        self.head = nn.Linear(36, CLASSES)

    def forward(self, images: Tensor) -> Outputs:
        x, features = images, {}
        for name, conv, norm in zip(self.groups, self.convs, self.norms, strict=True):
            x = features[name] = F.relu(norm(conv(x)))
        features["pooled"] = x.mean(dim=(2, 3))
        return Outputs(self.head(features["pooled"]), features)


class MobileNet(Network):
    """torchvision's MobileNetV2 with a tap after each change of map size."""

    groups = ("size16", "size8", "size4", "size2", "size1")
    taps = (1, 3, 6, 13, 18)

    def __init__(self) -> None:
        super().__init__()
        network = mobilenet_v2(num_classes=CLASSES)
        self.body, self.head = network.features, network.classifier

    def forward(self, images: Tensor) -> Outputs:
        x, features = images, {}
        for number, block in enumerate(self.body):
            x = block(x)
            if number in self.taps:
                features[self.groups[self.taps.index(number)]] = x
        features["pooled"] = x.mean(dim=(2, 3))
        return Outputs(self.head(features["pooled"]), features)


def network(name: str) -> Network:
    torch.manual_seed(0)
    own = {"Odd": Odd, "MobileNet": MobileNet}
    return own[name]() if name in own else models.build(name, SPEC)


def make_batch(size: int = SIZE, count: int = 8) -> Batch:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(count, 3, size, size, generator=generator)
    return Batch(images, torch.arange(count) % CLASSES, torch.arange(count))


def make_method(
    name: str, student: Network, teacher: Network, size: int = SIZE, **options: object
) -> Method:
    torch.manual_seed(1)
    kind = methods.load(name)
    shapes = [models.shapes(network, replace(SPEC, size=size)) for network in (student, teacher)]
    method = kind(kind.Config(**options), *shapes)
    if "teacher_network" in method.needs:
        method.bind_teacher(teacher)
    method.train()
    return method
