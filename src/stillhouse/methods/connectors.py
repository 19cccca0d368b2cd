"""Shared parts of methods that match feature maps: layer pairs, equal sizes, the regressor."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from functools import wraps
from itertools import pairwise
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from stillhouse.data.base import Batch
from stillhouse.errors import ConfigError, unknown_name
from stillhouse.methods.base import Method, MethodConfig, Reference
from stillhouse.models.base import Outputs, Shapes

MapShape = tuple[int, int, int]
LayerPair = tuple[str, str]


def in_full_precision(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make a loss run outside autocast, with half-precision tensors converted to float32.

    Squares of features overflow float16 from 256 on, and 1e-12 is 0 in it. Options are left alone.
    """

    @wraps(loss)
    def run(*inputs: Tensor, **options: Any) -> Tensor:
        with torch.autocast(inputs[0].device.type, enabled=False):
            return loss(*map(_at_least_float32, inputs), **options)

    return run


def _at_least_float32(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def pool_to_smaller(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Average-pool (batch, channels, h, w) maps to the smaller height and the smaller width."""
    size = (min(student.shape[2], teacher.shape[2]), min(student.shape[3], teacher.shape[3]))
    return _pool(student, size), _pool(teacher, size)


def _pool(x: Tensor, size: tuple[int, int]) -> Tensor:
    return x if x.shape[2:] == size else F.adaptive_avg_pool2d(x, size)


def pair_groups(
    student: Shapes, teacher: Shapes, layers: Iterable[LayerPair] | None = None
) -> list[LayerPair]:
    """Return which student map learns from which teacher map, from input to output.

    These are `layers` if given, else the networks' groups: one to one for equal numbers. Otherwise
    the n groups of one network are paired with every (m / n)-th of the m groups of the other, the
    last with the last: of five groups, three are paired with the second, the fourth and the fifth.
    Raises ConfigError if a name is unknown, is not a feature map, or a student layer is named
    twice.
    """
    pairs = list(layers) if layers else _spread(student.groups, teacher.groups)
    for student_layer, teacher_layer in pairs:
        map_shape(student, student_layer, "student")
        map_shape(teacher, teacher_layer, "teacher")
    if not pairs or len({name for name, _ in pairs}) < len(pairs):
        raise ConfigError(
            f"the layer pairs are {pairs}", "expected at least one, each student layer once"
        )
    return pairs


def _spread(student: tuple[str, ...], teacher: tuple[str, ...]) -> list[LayerPair]:
    pairs = min(len(student), len(teacher))

    def pick(groups: tuple[str, ...]) -> list[str]:
        return [groups[-(-(i + 1) * len(groups) // pairs) - 1] for i in range(pairs)]

    return list(zip(pick(student), pick(teacher), strict=True))


def middle_pair(student: Shapes, teacher: Shapes) -> LayerPair:
    """Return the middle pair of groups (the later one of an even number): layer2 of three."""
    pairs = pair_groups(student, teacher)
    return pairs[len(pairs) // 2]


def linear_embeddings(student: Shapes, teacher: Shapes, size: int) -> tuple[nn.Linear, nn.Linear]:
    """Return linear maps of the student's and of the teacher's `pooled` to `size` dimensions."""
    s, t = (nn.Linear(shapes.features["pooled"][0], size) for shapes in (student, teacher))
    return s, t


def map_shape(shapes: Shapes, layer: str, network: str) -> MapShape:
    """Return (channels, height, width) of a feature map. Raises ConfigError if it is not one."""
    if layer not in shapes.features:
        raise unknown_name(f"{network} layer", layer, shapes.features)
    shape = shapes.features[layer]
    if len(shape) != 3:
        maps = [name for name, s in shapes.features.items() if len(s) == 3]
        raise ConfigError(
            f"{network} layer '{layer}' has shape {shape}, not (channels, height, width)",
            f"feature maps are: {', '.join(maps)}",
        )
    channels, height, width = shape
    return channels, height, width


def per_pair(coefficients: dict[str, float], term: str, names: Iterable[str]) -> dict[str, float]:
    """Return the coefficients with that of `term` given to each of the terms `names` instead."""
    others = {name: value for name, value in coefficients.items() if name != term}
    return others | dict.fromkeys(names, coefficients[term])


class PairedMaps(Method):
    """Base of methods that compare maps pair by pair: one term `NAME_LAYER` per pair, summed.

    `term` is NAME, and `loss` compares a student's and a teacher's map. `pair_groups` pairs the
    groups; all pairs share the coefficient of `term`.
    """

    term: ClassVar[str]
    family = "maps"
    mixed_images = True
    capturable = True

    class Config(MethodConfig):
        """`weight` of each pair's term; `layers` are pairs (student's, teacher's) of maps."""

        weight: PositiveFloat
        layers: tuple[LayerPair, ...] | None = None

    def __init__(self, config: Config, student: Shapes, teacher: Shapes) -> None:
        super().__init__(config, student, teacher)
        pairs = pair_groups(student, teacher, config.layers)
        self.pairs = {f"{self.term}_{pair[0]}": pair for pair in pairs}

    @classmethod
    def reference(cls, config: MethodConfig) -> Reference:
        """Return CE + `weight` times the sum over pairs."""
        assert isinstance(config, cls.Config)
        return Reference(ce=1.0, weights={cls.term: config.weight})

    def weights(self, coefficients: dict[str, float], epoch: int, epochs: int) -> dict[str, float]:
        """Give every pair's term the coefficient of `term`."""
        return per_pair(coefficients, self.term, self.pairs)

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return one term per pair."""
        return {
            name: self.loss(student.features[s], teacher.features[t])
            for name, (s, t) in self.pairs.items()
        }

    @staticmethod
    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        """Return the term of one pair of (batch, channels, h, w) maps."""
        raise NotImplementedError


class ConvRegressor(nn.Module):
    """Regress a student's map to a teacher's: convolution, batch norm (if `norm`), ReLU.

    The kernel is that of the CRD benchmark (RepDistiller, `models/util.py`, ConvReg): 3x3 with
    stride 2 from twice the teacher's size, 4x4 transposed from half of it. Otherwise it is unpadded
    with the difference of the sizes plus 1 (Romero et al. 2015, section 2.2), so 1x1 at equal
    sizes. Other smaller sizes, and sizes above twice the teacher's, for which that kernel would
    have more weights than the student, are pooled to the smaller size and regressed 1x1.
    """

    def __init__(self, student: MapShape, teacher: MapShape, norm: bool = True) -> None:
        super().__init__()
        channels, size, target = (student[0], teacher[0]), student[1:], teacher[1:]
        excess = [s - t for s, t in zip(size, target, strict=True)]
        self.conv: nn.Module
        if size == (2 * target[0], 2 * target[1]):
            self.conv = nn.Conv2d(*channels, 3, stride=2, padding=1)
        elif target == (2 * size[0], 2 * size[1]):
            self.conv = nn.ConvTranspose2d(*channels, 4, stride=2, padding=1)
        elif all(0 <= e <= t for e, t in zip(excess, target, strict=True)):
            self.conv = nn.Conv2d(*channels, (1 + excess[0], 1 + excess[1]))
        else:
            smaller = (min(size[0], target[0]), min(size[1], target[1]))
            self.conv = nn.Sequential(nn.AdaptiveAvgPool2d(smaller), nn.Conv2d(*channels, 1))
        self.norm = nn.BatchNorm2d(teacher[0]) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (batch, *student) to (batch, *teacher), or less high and wide where pooled."""
        return F.relu(self.norm(self.conv(x)))


class BatchNorm(nn.BatchNorm2d):
    """Batch norm that takes its running statistics for one value per channel.

    A batch of one with a map of one pixel has no variance; torch's own raises an error there.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Map (batch, channels, h, w) to the same shape."""
        if self.training and input.numel() == input.shape[1]:
            running = (self.running_mean, self.running_var)
            return F.batch_norm(input, *running, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(input)


class Frozen(nn.Module):
    """A copy of a part of the teacher: never trained, always in eval mode."""

    def __init__(self, part: nn.Module) -> None:
        super().__init__()
        self.part = copy.deepcopy(part).requires_grad_(False).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return what the part gives."""
        out: Tensor = self.part(x)
        return out

    def train(self, mode: bool = True) -> Frozen:
        """Stay in eval mode."""
        return super().train(False)


def projection(*channels: int, kernels: tuple[int, ...] = (1,)) -> nn.Sequential:
    """Convolutions without bias from each number of channels to the next, batch norm and ReLU.

    Weights have variance 2 / fan-out.
    """
    layers: list[nn.Module] = []
    for (before, after), kernel in zip(pairwise(channels), kernels, strict=True):
        layers.append(nn.Conv2d(before, after, kernel, padding=kernel // 2, bias=False))
        layers += [BatchNorm(after), nn.ReLU()]
    return nn.Sequential(*layers)
