"""Mixup and CutMix: each image of a batch mixed with another one, and its label with that one's.

They work on normalised float32 batches, after all other augmentations.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor

from stillhouse.data.augment import inside, send
from stillhouse.data.base import Batch
from stillhouse.seeding import derive

MIXING = ("mixup", "cutmix")


def mix(
    batch: Batch, kinds: tuple[str, ...], alphas: tuple[float, ...], probability: float, seed: int
) -> Batch:
    """Mix each image, with a probability, with that of another row of a random permutation.

    `kinds` are some of `MIXING`, each with the parameter of its Beta distribution in `alphas`; of
    two, each image draws one. All random numbers follow from `seed` and are drawn on the CPU.
    """
    count, device = len(batch.labels), batch.images.device
    draws = Generator().manual_seed(derive("mix", seed))
    partners = torch.randperm(count, generator=draws)
    chosen = torch.randint(len(kinds), (count,), generator=draws)
    mixed = torch.rand(count, generator=draws) < probability
    shares = torch.ones(count)
    patches = torch.zeros(count, *batch.images.shape[2:], dtype=torch.bool)
    for number, (kind, alpha) in enumerate(zip(kinds, alphas, strict=True)):
        drawn = _beta(alpha, count, derive("mix", seed, kind))
        mine = mixed & (chosen == number)
        if kind == "mixup":
            shares = torch.where(mine, drawn, shares)
        else:
            pasted = patch(drawn, (patches.shape[1], patches.shape[2]), draws)
            patches |= pasted & mine[:, None, None]
    kept = send(shares, device)[:, None, None, None]
    rows, pasted = send(partners, device), send(patches, device)[:, None]
    others = batch.images[rows]
    images = torch.where(pasted, others, kept * batch.images + (1 - kept) * others)
    shares = shares * (1 - patches.float().mean(dim=(1, 2)))
    labels = batch.labels[rows]
    return replace(batch, images=images, partners=labels, shares=send(shares, device))


def patch(shares: Tensor, size: tuple[int, int], generator: Generator) -> Tensor:
    """Return the pixels (batch, height, width) that CutMix replaces: about 1 - share of the area.

    Box of the image's proportions around a uniform centre, cut off at the border (Yun et al. 2019,
    arXiv:1905.04899, as in torchvision's CutMix).
    """
    height, width = size
    places = torch.rand(2, len(shares), generator=generator)
    across, down = (places[0] * width).floor(), (places[1] * height).floor()
    half = 0.5 * (1 - shares).sqrt()
    half_width, half_height = (half * width).floor(), (half * height).floor()
    left, right = (across - half_width).clamp(min=0), (across + half_width).clamp(max=width)
    top, bottom = (down - half_height).clamp(min=0), (down + half_height).clamp(max=height)
    return inside(torch.stack([top, left, bottom - top, right - left], dim=1), size)


def _beta(alpha: float, count: int, seed: int) -> Tensor:
    """Return shares (count,) from Beta(alpha, alpha), float32."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        parameter = torch.tensor(alpha, dtype=torch.float64)
        return torch.distributions.Beta(parameter, parameter).sample((count,)).float()
