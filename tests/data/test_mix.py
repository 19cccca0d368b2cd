"""Mixup and CutMix: pixels and labels are mixed alike, image by image."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import beta, kstest
from torch import Tensor
from torchvision.transforms import v2

from stillhouse.data.base import Batch
from stillhouse.data.mix import MIXING, mix, patch

COUNT, SIZE = 400, 16


def flat(count: int = COUNT) -> Batch:
    """Each image is one value, its label: what is mixed shows in the pixels."""
    rows = torch.arange(count)
    images = rows.float()[:, None, None, None].expand(-1, 3, SIZE, SIZE).clone()
    return Batch(images, rows, rows + 1000)


def parts(batch: Batch) -> tuple[Tensor, Tensor]:
    assert batch.partners is not None and batch.shares is not None
    return batch.partners, batch.shares


@pytest.mark.parametrize("kind", MIXING)
def test_pixels_and_labels_are_mixed_in_the_same_shares(kind: str) -> None:
    batch = flat()
    mixed = mix(batch, (kind,), (1.0,), 1.0, 0)
    partners, shares = parts(mixed)
    assert torch.equal(mixed.labels, batch.labels) and torch.equal(mixed.ids, batch.ids)
    expected = shares * batch.labels + (1 - shares) * partners
    torch.testing.assert_close(mixed.images.mean(dim=(1, 2, 3)), expected, rtol=1e-4, atol=1e-2)
    assert sorted(partners.tolist()) == batch.labels.tolist()
    assert len(shares.unique()) > (100 if kind == "mixup" else 20)
    assert shares.min() >= 0 and shares.max() <= 1


def test_cutmix_pastes_one_box_and_mixup_blends_every_pixel() -> None:
    batch = flat()
    pasted = mix(batch, ("cutmix",), (1.0,), 1.0, 3)
    partners, shares = parts(pasted)
    other = pasted.images[:, 0] == partners[:, None, None]
    own = pasted.images[:, 0] == batch.labels[:, None, None]
    assert bool((own | other).all())
    differ = partners != batch.labels
    rows, columns = other.any(2).sum(1), other.any(1).sum(1)
    assert torch.equal(other.sum(dim=(1, 2))[differ], (rows * columns)[differ])
    torch.testing.assert_close(shares[differ], own.float().mean(dim=(1, 2))[differ])
    blended = mix(batch, ("mixup",), (1.0,), 1.0, 3)
    assert bool((blended.images.amax((1, 2, 3)) == blended.images.amin((1, 2, 3))).all())


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_of_mixup_are_beta(alpha: float) -> None:
    _, shares = parts(mix(flat(3000), ("mixup",), (alpha,), 1.0, 0))
    assert kstest(shares.numpy(), beta(alpha, alpha).cdf).pvalue > 1e-3


def test_boxes_of_cutmix_are_torchvisions() -> None:
    """The share of a box for the same share and centres: torchvision draws them in other order."""
    shares = torch.full((2000,), 0.6)
    pasted = patch(shares, (32, 32), torch.Generator().manual_seed(0)).float().mean(dim=(1, 2))
    transform = v2.CutMix(num_classes=2)
    torch.manual_seed(0)
    theirs = []
    for _ in range(500):
        params = transform.make_params([torch.zeros(2, 3, 32, 32)])
        theirs.append(params["lam_adjusted"])
        assert {"box", "lam_adjusted"} <= {*params}
    half = math.floor(32 * 0.5 * math.sqrt(0.4))
    assert pasted.max() == (2 * half) ** 2 / 32**2
    assert pasted.min() >= (half / 32) ** 2 - 1e-6
    spread = torch.rand(500, generator=torch.Generator().manual_seed(1))
    ours = 1 - patch(spread, (32, 32), torch.Generator().manual_seed(2)).float().mean(dim=(1, 2))
    assert abs(float(ours.mean()) - sum(theirs) / len(theirs)) < 0.04


def test_with_a_probability_some_images_stay_whole() -> None:
    batch = flat(2000)
    mixed = mix(batch, ("mixup",), (1.0,), 0.3, 0)
    whole = mixed.images.eq(batch.images).all(dim=3).all(dim=2).all(dim=1)
    assert 0.66 < whole.float().mean() < 0.74
    _, shares = parts(mixed)
    assert torch.equal(shares[whole], torch.ones(int(whole.sum())))


def test_of_two_kinds_each_image_draws_one() -> None:
    batch = flat()
    mixed = mix(batch, MIXING, (1.0, 1.0), 1.0, 0)
    _, shares = parts(mixed)
    varied = mixed.images.amax((1, 2, 3)) != mixed.images.amin((1, 2, 3))
    assert 0.35 < varied.float().mean() < 0.5  # cutmix, less the boxes that hold all or nothing
    blended = ~varied & (shares > 0) & (shares < 1)
    assert 0.45 < blended.float().mean() < 0.6


def test_a_mix_follows_from_its_seed_alone() -> None:
    batch = flat()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = mix(batch, MIXING, (0.5, 1.0), 0.8, 7)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(9)
    again, other = (mix(batch, MIXING, (0.5, 1.0), 0.8, seed) for seed in (7, 8))
    same = [torch.equal(a, b) for a, b in zip(first.tensors(), again.tensors(), strict=True)]
    assert all(same) and len(same) == 5
    assert not torch.equal(first.images, other.images)
