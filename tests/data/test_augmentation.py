"""The augmentation of a recipe: each image its own draws, from counters alone."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from stillhouse.config.schema import ONLY_WITH, Training
from stillhouse.config.schema import Augmentation as Name
from stillhouse.data import augment, per_image
from stillhouse.data.augmentation import SETTINGS, Augmentation
from stillhouse.data.base import Split
from stillhouse.data.mix import MIXING
from stillhouse.errors import ConfigError
from stillhouse.rounds.schedule import SHARED_RECIPE
from stillhouse.seeding import generator
from stillhouse.training.reopen import augmentation

IMAGE_BY_IMAGE = ("color_jitter", "trivial_augment", "rand_augment")
PIXELS = [name for name in SETTINGS if name not in MIXING]
MEAN = (0.5, 0.4, 0.3)
CERTAIN = {"erasing_probability": 1.0}


def noise(count: int, channels: int = 3, size: int = 16) -> Tensor:
    draws = torch.Generator().manual_seed(0)
    shape = (count, channels, size, size)
    return torch.randint(0, 256, shape, generator=draws, dtype=torch.uint8)


def split(images: Tensor) -> Split:
    rows = torch.arange(len(images))
    return Split(images, rows % 10, rows + 100)


def change(part: Split, *names: str, epoch: int = 0, step: int = 0) -> Tensor:
    mean = MEAN[: part.pixels.shape[1]]
    return Augmentation(names, **CERTAIN).change(part, mean, 0, epoch, step)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", PIXELS)
def test_each_image_of_a_batch_has_its_own_draw(name: str, channels: int) -> None:
    same = split(noise(1, channels).expand(32, -1, -1, -1))
    changed = change(same, name)
    assert (changed.dtype, changed.shape) == (torch.uint8, same.pixels.shape)
    assert len({image.numpy().tobytes() for image in changed}) > (1 if name == "flip" else 8)


@pytest.mark.parametrize("name", IMAGE_BY_IMAGE)
def test_torchvision_on_a_batch_would_draw_once(name: str) -> None:
    """Why these are applied image by image."""
    transform = {
        "color_jitter": v2.ColorJitter(0.4, 0.4, 0.4),
        "trivial_augment": v2.TrivialAugmentWide(),
        "rand_augment": v2.RandAugment(),
    }[name]
    torch.manual_seed(0)
    changed = transform(noise(1).expand(8, -1, -1, -1))
    assert len({image.numpy().tobytes() for image in changed}) == 1


@pytest.mark.parametrize("name", IMAGE_BY_IMAGE)
def test_an_image_is_changed_alike_in_any_batch(name: str) -> None:
    whole = split(noise(12))
    part = whole.rows(torch.tensor([7, 2]))
    changed = change(whole, name)
    assert torch.equal(change(part, name, step=5), changed[[7, 2]])
    assert not torch.equal(change(whole, name, epoch=1), changed)


@pytest.mark.parametrize("name", PIXELS)
def test_a_batch_follows_from_its_counters_and_leaves_torchs_generator_alone(name: str) -> None:
    part = split(noise(16))
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = change(part, name)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(change(part, name), first)
    assert not torch.equal(change(part, name, epoch=1), first)


def test_an_image_is_changed_as_by_torchvision() -> None:
    (image,) = noise(1)
    found = per_image.per_image(image[None], per_image.rand_augment(2, 9), [5])[0]
    torch.manual_seed(5)
    assert torch.equal(found, v2.RandAugment(2, 9)(image))


def test_augmentations_apply_in_their_order() -> None:
    part = split(noise(8, 1, 6))
    draws = generator("augment", 0, 0, 0)
    expected = augment.flip(augment.pad_crop(part.pixels, 4, draws), draws)
    assert torch.equal(change(part, "pad_crop", "flip"), expected)
    assert not torch.equal(change(part, "flip", "pad_crop"), expected)
    assert change(part) is part.pixels


def test_an_unknown_augmentation_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown augmentation 'flop'") as caught:
        Augmentation(("flop",))
    assert "did you mean 'flip'?" in caught.value.hint


def test_names_and_settings_are_those_of_the_round_file() -> None:
    assert {*get_args(Name)} == {*SETTINGS}
    read = {name: values for name, (other, values) in ONLY_WITH.items() if other == "augmentation"}
    ours: dict[str, set[str]] = {}
    for name, settings in SETTINGS.items():
        for setting in settings:
            ours.setdefault(setting, set()).add(name)
    assert {name: {*values} for name, values in read.items()} == ours
    assert augmentation(Training()) == Augmentation()


def test_a_cohort_shares_every_setting_of_its_batches() -> None:
    assert {s for settings in SETTINGS.values() for s in settings} <= {*SHARED_RECIPE}


def test_facts_name_only_what_is_read() -> None:
    """What was cached for earlier batches keeps its key."""
    assert {*Augmentation(("pad_crop",)).facts()} == {"augmentation", "padding"}
    facts = Augmentation(("rand_augment",)).facts()
    assert facts["rand_augment_magnitude"] == 9
    other = Augmentation(("rand_augment",), rand_augment_magnitude=5)
    assert other.facts() != facts
