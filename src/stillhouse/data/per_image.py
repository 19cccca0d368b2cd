"""Torchvision's transforms, image by image, each with its own random numbers.

On a batch these transforms draw once for all images. They take no generator, so each image is
transformed after torch's CPU generator was seeded for it. Images on a GPU are transformed on the
CPU: the numbers are the same, and a launch per image and operation would be slower.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import torch
from torch import Tensor

from stillhouse.data.augment import send

Transform = Callable[[Tensor], Tensor]


def per_image(images: Tensor, transform: Transform, seeds: Sequence[int]) -> Tensor:
    """Return uint8 images (batch, channels, height, width), each transformed with its own seed.

    Torch's global generators are left as they were.
    """
    changed = []
    with torch.random.fork_rng(devices=[]):
        for image, seed in zip(images.cpu(), seeds, strict=True):
            torch.default_generator.manual_seed(seed)
            changed.append(transform(image))
    return send(torch.stack(changed), images.device)


@cache
def trivial_augment() -> Transform:
    """One random operation of random strength (Müller and Hutter 2021, arXiv:2103.10158)."""
    from torchvision.transforms import v2

    return _plain(v2.TrivialAugmentWide())


@cache
def rand_augment(operations: int, magnitude: int) -> Transform:
    """Some random operations of one strength, 0 to 30 (Cubuk et al. 2020, arXiv:1909.13719)."""
    from torchvision.transforms import v2

    return _plain(v2.RandAugment(operations, magnitude))


@cache
def color_jitter(strength: float) -> Transform:
    """Brightness, contrast and saturation times 1 - strength to 1 + strength, in random order."""
    from torchvision.transforms import v2

    return _plain(v2.ColorJitter(strength, strength, strength))


def _plain(transform: Callable[..., Tensor]) -> Transform:
    return lambda image: transform(image)
