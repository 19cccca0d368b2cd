"""Augmentations of whole batches, each image with its own random numbers.

Images are uint8 (batch, channels, height, width), before and after. Random numbers are drawn on the
CPU from the given generator and moved to the images' device, so CPU and GPU get the same numbers.
The distributions are torchvision's (RandomCrop, RandomHorizontalFlip, RandomResizedCrop,
RandomErasing).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

ATTEMPTS = 10


def pad_crop(images: Tensor, padding: int, generator: Generator) -> Tensor:
    """Pad each side with `padding` black pixels, then crop the original size at a random place.

    Black is 0 before normalisation, as in the field's image files, not the mean colour.
    """
    offsets = torch.randint(0, 2 * padding + 1, (len(images), 2), generator=generator)
    return crop(F.pad(images, (padding,) * 4), offsets, images.shape[2], images.shape[3])


def crop(images: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    """Crop (height, width) from each image at the top and left in its row of `offsets`."""
    batch, channels = images.shape[:2]
    top, left = send(offsets, images.device).unbind(1)
    rows = top[:, None] + torch.arange(height, device=images.device)
    columns = left[:, None] + torch.arange(width, device=images.device)
    return images[
        torch.arange(batch, device=images.device)[:, None, None, None],
        torch.arange(channels, device=images.device)[None, :, None, None],
        rows[:, None, :, None],
        columns[:, None, None, :],
    ]


def flip(images: Tensor, generator: Generator) -> Tensor:
    """Mirror each image left to right with probability 1/2."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    mirrored = send(mirrored, images.device)
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def send(draws: Tensor, device: torch.device) -> Tensor:
    """Move random numbers to the images' device without a GPU synchronisation."""
    if device.type != "cuda":
        return draws.to(device)
    return draws.pin_memory().to(device, non_blocking=True)


def random_resized_crop(
    images: Tensor,
    generator: Generator,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Tensor:
    """Resize a random box of each image to the whole image (bilinear)."""
    size = (images.shape[2], images.shape[3])
    return resize(images, boxes(len(images), size, generator, scale, ratio))


def boxes(
    count: int,
    size: tuple[int, int],
    generator: Generator,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> Tensor:
    """Return random boxes (count, 4) int64 as top, left, height, width within `size`.

    The area is uniform in `scale` times the image's, the aspect ratio log-uniform in `ratio`. The
    first of ten draws that fits is used, else the whole image, as in torchvision for square images.
    """
    return _boxes(count, size, size, generator, scale, ratio)[1]


def _boxes(
    count: int,
    size: tuple[int, int],
    largest: tuple[int, int],
    generator: Generator,
    scale: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[Tensor, Tensor]:
    """Return whether one of ten draws was at most `largest` high and wide, and the first such box.

    Without one the box is the whole image.
    """
    height, width = size
    draws = torch.rand(4, ATTEMPTS, count, generator=generator, dtype=torch.float64)
    area = height * width * (scale[0] + (scale[1] - scale[0]) * draws[0])
    low, high = math.log(ratio[0]), math.log(ratio[1])
    aspect = torch.exp(low + (high - low) * draws[1])
    heights = (area / aspect).sqrt().round()
    widths = (area * aspect).sqrt().round()
    fits = (heights >= 1) & (heights <= largest[0]) & (widths >= 1) & (widths <= largest[1])
    first = fits.to(torch.uint8).argmax(0, keepdim=True)
    found = fits.any(0)
    heights = torch.where(found, heights.gather(0, first)[0], float(height))
    widths = torch.where(found, widths.gather(0, first)[0], float(width))
    top = (draws[2, 0] * (height - heights + 1)).floor()
    left = (draws[3, 0] * (width - widths + 1)).floor()
    return found, torch.stack([top, left, heights, widths], dim=1).to(torch.int64)


def random_erasing(
    images: Tensor,
    probability: float,
    fill: Sequence[int],
    generator: Generator,
    scale: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
) -> Tensor:
    """Fill a random box of each image, with a probability (Zhong et al. 2020, arXiv:1708.04896).

    Areas, ratios of height to width, and places are distributed as in torchvision's RandomErasing;
    an image of which no box in ten draws fits stays whole. `fill` is a value per channel: the mean
    colour is torchvision's 0 after normalisation.
    """
    size = (images.shape[2], images.shape[3])
    drawn = torch.rand(len(images), generator=generator) < probability
    largest = (size[0] - 1, size[1] - 1)
    wide = (1 / ratio[1], 1 / ratio[0])  # `_boxes` takes width to height
    found, boxes_ = _boxes(len(images), size, largest, generator, scale, wide)
    erased = inside(boxes_, size) & (drawn & found)[:, None, None]
    colour = torch.tensor(fill, dtype=images.dtype)[:, None, None]
    return torch.where(send(erased, images.device)[:, None], send(colour, images.device), images)


def inside(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Return which pixels (batch, height, width) lie in each image's box."""
    top, left, heights, widths = boxes[:, :, None].unbind(1)
    rows, columns = torch.arange(size[0]), torch.arange(size[1])
    in_rows = (rows >= top) & (rows < top + heights)
    in_columns = (columns >= left) & (columns < left + widths)
    return in_rows[:, :, None] & in_columns[:, None, :]


def resize(images: Tensor, boxes: Tensor) -> Tensor:
    """Resize each image's box to the whole image (bilinear, pixel centres aligned).

    A box is never larger than the image, so nothing shrinks, and torchvision's antialiasing has no
    effect.
    """
    height, width = images.shape[2:]
    top, left, heights, widths = send(boxes.to(torch.float32), images.device).unbind(1)
    rows = _positions(top, heights, height)
    columns = _positions(left, widths, width)
    grid = torch.stack(
        [
            columns[:, None, :].expand(-1, height, -1),
            rows[:, :, None].expand(-1, -1, width),
        ],
        dim=3,
    )
    sampled = F.grid_sample(images.to(torch.float32), grid, "bilinear", "border", False)
    return sampled.round().to(torch.uint8)


def _positions(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Return the positions of the `size` new pixels on the old axis, in grid_sample's -1..1:
    (batch, size).

    They stay inside the box, so pixels outside it have no influence.
    """
    centres = (torch.arange(size, device=start.device) + 0.5) / size
    inside = (centres * length[:, None] - 0.5).clamp(min=0)
    inside = torch.minimum(inside, length[:, None] - 1)
    return (2 * (start[:, None] + inside) + 1) / size - 1
