from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, chisquare, ks_2samp
from torch import Generator, Tensor
from torchvision.transforms import (
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
)
from torchvision.transforms import functional as reference
from torchvision.transforms.functional import to_pil_image

from stillhouse.data import augment

# Seeds are fixed, so these tests are no lottery: below this the distributions differ.
SIGNIFICANT = 1e-3


def seeded(seed: int) -> Generator:
    return Generator().manual_seed(seed)


def noise(batch: int, channels: int, height: int, width: int, seed: int = 0) -> Tensor:
    shape = (batch, channels, height, width)
    return torch.randint(0, 256, shape, generator=seeded(seed), dtype=torch.uint8)


@settings(deadline=None)
@given(
    st.integers(1, 5), st.sampled_from([1, 3]), st.integers(1, 9), st.integers(1, 9),
    st.integers(1, 4), st.integers(0, 10),
)  # fmt: skip
def test_pad_crop_equals_torchvisions_crop(
    batch: int, channels: int, height: int, width: int, padding: int, seed: int
) -> None:
    images = noise(batch, channels, height, width, seed)
    offsets = torch.randint(0, 2 * padding + 1, (batch, 2), generator=seeded(seed))
    expected = torch.stack(
        [
            reference.crop(reference.pad(image, padding), int(top), int(left), height, width)
            for image, (top, left) in zip(images, offsets, strict=True)
        ]
    )
    cropped = augment.pad_crop(images, padding, seeded(seed))
    assert cropped.dtype == torch.uint8
    assert torch.equal(cropped, expected)


def test_pad_crop_is_torchvisions_transform_of_the_image_file() -> None:
    """White images show where they lie: black comes in at the border, as in RandomCrop."""
    white = torch.full((1, 3, 6, 6), 255, dtype=torch.uint8)
    transform = RandomCrop(6, padding=2)
    torch.manual_seed(0)
    theirs = {np.asarray(transform(to_pil_image(white[0]))).tobytes() for _ in range(500)}
    ours = {
        image.permute(1, 2, 0).numpy().tobytes()
        for image in augment.pad_crop(white.expand(500, -1, -1, -1), 2, seeded(0))
    }
    assert len(theirs) == 25
    assert ours == theirs


def test_offsets_are_uniform_and_independent_as_torchvisions() -> None:
    padding, count = 2, 5000
    # A bright pixel on black: where it lands gives the offsets.
    images = torch.zeros(count, 1, 9, 9, dtype=torch.uint8)
    images[:, :, 4, 4] = 255
    moved = augment.pad_crop(images, padding, seeded(3))
    rows, columns = torch.nonzero(moved[:, 0])[:, 1:].unbind(1)
    ours = np.zeros((5, 5))
    np.add.at(ours, (4 + padding - rows.numpy(), 4 + padding - columns.numpy()), 1)
    theirs = np.zeros((5, 5))
    torch.manual_seed(0)
    for _ in range(count):
        top, left, _, _ = RandomCrop.get_params(torch.empty(1, 13, 13), (9, 9))
        theirs[top, left] += 1
    assert ours.sum() == count
    assert chisquare(ours.flatten()).pvalue > SIGNIFICANT
    assert chi2_contingency([ours.flatten(), theirs.flatten()]).pvalue > SIGNIFICANT


def test_flip_mirrors_half_of_the_images() -> None:
    images = noise(4000, 1, 2, 3)
    images[:, :, :, 0], images[:, :, :, 2] = 0, 255
    flipped = augment.flip(images, seeded(0))
    mirrored = flipped[:, 0, 0, 0] == 255
    assert torch.equal(flipped[mirrored], reference.hflip(images[mirrored]))
    assert torch.equal(flipped[~mirrored], images[~mirrored])
    torch.manual_seed(0)
    transform = RandomHorizontalFlip()
    theirs = sum(int(transform(images[0])[0, 0, 0]) == 255 for _ in range(4000))
    ours = int(mirrored.sum())
    table = [[ours, 4000 - ours], [theirs, 4000 - theirs]]
    assert chi2_contingency(table).pvalue > SIGNIFICANT


@pytest.mark.parametrize("size", [8, 32, 64])
def test_boxes_are_distributed_as_torchvisions(size: int) -> None:
    scale, ratio, count = (0.08, 1.0), (3 / 4, 4 / 3), 3000
    ours = augment.boxes(count, (size, size), seeded(0), scale, ratio).double()
    torch.manual_seed(0)
    image = torch.empty(1, size, size)
    theirs = torch.tensor(
        [RandomResizedCrop.get_params(image, list(scale), list(ratio)) for _ in range(count)]
    ).double()
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, :2] + ours[:, 2:] <= size).all()
    for measure in (
        lambda box: box[:, 2] * box[:, 3],
        lambda box: box[:, 3] / box[:, 2],
        lambda box: box[:, 0] / (size - box[:, 2]).clamp(min=1),
        lambda box: box[:, 1] / (size - box[:, 3]).clamp(min=1),
    ):
        assert ks_2samp(measure(ours), measure(theirs)).pvalue > SIGNIFICANT


def test_boxes_that_never_fit_are_the_whole_image() -> None:
    found = augment.boxes(20, (8, 8), seeded(0), (1.0, 1.0), (4.0, 5.0))
    assert found.tolist() == [[0, 0, 8, 8]] * 20


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 40), st.sampled_from([1, 3]), st.integers(0, 20))
def test_resize_equals_torchvisions_with_antialiasing(size: int, channels: int, seed: int) -> None:
    images = noise(4, channels, size, size, seed)
    boxes = augment.boxes(4, (size, size), seeded(seed), (0.08, 1.0), (3 / 4, 4 / 3))
    resized = augment.resize(images, boxes)
    for image, ours, (top, left, height, width) in zip(
        images, resized, boxes.tolist(), strict=True
    ):
        theirs = reference.resized_crop(
            image, top, left, height, width, [size, size], antialias=True
        )
        # Both round to whole levels, on weights that differ by float error.
        assert (ours.int() - theirs.int()).abs().max() <= 1


def test_the_whole_image_is_left_as_it_is() -> None:
    images = noise(3, 3, 32, 32)
    whole = torch.tensor([[0, 0, 32, 32]] * 3)
    assert torch.equal(augment.resize(images, whole), images)


def test_box_areas_span_the_scale() -> None:
    box = augment.boxes(5000, (64, 64), seeded(1), (0.08, 1.0), (3 / 4, 4 / 3)).double()
    area = box[:, 2] * box[:, 3] / 64**2
    assert math.isclose(area.min().item(), 0.08, abs_tol=0.01)
    assert area.max().item() > 0.95


def test_erased_boxes_are_distributed_as_torchvisions() -> None:
    """Heights, widths and areas of what is erased from white images, and how many stay whole."""
    white = torch.full((3000, 1, 24, 24), 255, dtype=torch.uint8)
    ours = augment.random_erasing(white, 0.5, [0], seeded(0))
    transform = RandomErasing(p=0.5, value=0)
    torch.manual_seed(0)
    theirs = torch.stack([transform(image) for image in white])

    def sides(images: Tensor) -> tuple[Tensor, Tensor]:
        gone = (images == 0)[:, 0]
        return gone.any(2).sum(1), gone.any(1).sum(1)

    for found, expected in zip(sides(ours), sides(theirs), strict=True):
        assert ks_2samp(found.numpy(), expected.numpy()).pvalue > SIGNIFICANT
    assert abs((ours == 0).double().mean() - (theirs == 0).double().mean()) < 0.01
    whole = (ours != 0).all(dim=(1, 2, 3)).double().mean().item()
    assert 0.45 < whole < 0.55


def test_erasing_fills_a_box_with_the_given_colour_and_leaves_the_rest() -> None:
    images = noise(50, 3, 16, 16).clamp(min=10)
    erased = augment.random_erasing(images, 1.0, [1, 2, 3], seeded(1))
    gone = (erased == torch.tensor([1, 2, 3])[:, None, None]).all(dim=1)
    assert torch.equal(
        erased[~gone[:, None].expand_as(erased)], images[~gone[:, None].expand_as(erased)]
    )
    areas = gone.sum(dim=(1, 2))
    rows, columns = gone.any(2).sum(1), gone.any(1).sum(1)
    assert torch.equal(areas, rows * columns)
    assert areas.min() >= 1 and areas.max() <= 0.4 * 256
    assert torch.equal(augment.random_erasing(images, 1e-9, [1, 2, 3], seeded(1)), images)
