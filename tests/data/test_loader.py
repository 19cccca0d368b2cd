from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torchvision.transforms.functional import normalize

from stillhouse.data.augmentation import Augmentation
from stillhouse.data.base import Batch, Split
from stillhouse.data.loader import TrainBatches, normalise, plain_batches
from stillhouse.data.specs import SPECS
from stillhouse.errors import ConfigError

SPEC = SPECS["Cifar10"]


def make(count: int) -> Split:
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 32, 32), generator=draws, dtype=torch.uint8)
    return Split(images, torch.arange(count) % 10, torch.arange(count) + 1000)


SPLIT = make(50)
NAMES = ("pad_crop", "flip", "random_resized_crop")
PLAIN = Augmentation()
ALL = Augmentation(NAMES)


def batches(seed: int = 0, augmentation: Augmentation = ALL, size: int = 16) -> TrainBatches:
    return TrainBatches(SPLIT, SPEC, seed, size, augmentation)


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(getattr(a, n), getattr(b, n)) for n in ("images", "labels", "ids"))


def test_a_batch_follows_from_its_counters_alone() -> None:
    forwards, backwards = batches(), batches()
    positions = [(epoch, step) for epoch in range(3) for step in range(3)]
    first = {position: forwards.batch(*position) for position in positions}
    torch.manual_seed(123)
    for position in reversed(positions):
        assert same(backwards.batch(*position), first[position])
        assert same(batches().batch(*position), first[position])


@pytest.mark.parametrize("other", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_seed_epoch_and_step_each_change_order_and_augmentation(other: tuple[int, ...]) -> None:
    seed, epoch, step = other
    first, second = batches().batch(0, 0), batches(seed).batch(epoch, step)
    assert not torch.equal(first.ids, second.ids)
    # The same image everywhere: what differs is augmentation.
    flat = Split(SPLIT.images[:1].expand(50, -1, -1, -1), SPLIT.labels, SPLIT.ids)
    one = TrainBatches(flat, SPEC, 0, 16, ALL).batch(0, 0)
    two = TrainBatches(flat, SPEC, seed, 16, ALL).batch(epoch, step)
    assert not torch.equal(one.images, two.images)


def test_mixed_batches_follow_from_their_counters_and_mix_augmented_images() -> None:
    mixing = batches(augmentation=Augmentation((*NAMES, "mixup", "cutmix")))
    first = mixing.batch(1, 2)
    again = batches(augmentation=Augmentation((*NAMES, "mixup", "cutmix"))).batch(1, 2)
    assert len(first.tensors()) == 5
    assert all(torch.equal(a, b) for a, b in zip(first.tensors(), again.tensors(), strict=True))
    assert not torch.equal(first.images, mixing.batch(1, 1).images)
    plain = batches().batch(1, 2)
    assert len(plain.tensors()) == 3
    never = Augmentation((*NAMES, "mixup"), mix_probability=1e-9)
    assert same(batches(augmentation=never).batch(1, 2), plain)


def test_order_does_not_depend_on_augmentation() -> None:
    assert torch.equal(batches().batch(2, 1).ids, batches(augmentation=PLAIN).batch(2, 1).ids)


def test_an_epoch_sees_each_image_at_most_once_and_drops_the_rest() -> None:
    source = batches(augmentation=PLAIN)
    assert source.steps == 3
    seen = [source.batch(0, step) for step in range(source.steps)]
    assert [len(batch.ids) for batch in seen] == [16, 16, 16]
    ids = torch.cat([batch.ids for batch in seen])
    assert len(ids.unique()) == 48
    later = torch.cat([source.batch(1, step).ids for step in range(source.steps)])
    assert set(later.tolist()) != set(ids.tolist())


def test_rows_stay_together_without_augmentation() -> None:
    batch = batches(augmentation=PLAIN).batch(4, 2)
    rows = batch.ids - 1000
    assert torch.equal(batch.labels, SPLIT.labels[rows])
    assert torch.equal(batch.images, normalise(SPLIT.images[rows], SPEC))


def test_all_batches_of_an_exact_multiple_are_used() -> None:
    assert batches(size=25).steps == 2
    assert batches(size=50).steps == 1


def test_fewer_images_than_one_batch_are_refused() -> None:
    with pytest.raises(ConfigError, match="50 training images are fewer than one batch of 51"):
        batches(size=51)


def test_plain_batches_are_the_split_in_order() -> None:
    found = list(plain_batches(SPLIT, SPEC, 16))
    assert [len(batch.ids) for batch in found] == [16, 16, 16, 2]
    assert torch.equal(torch.cat([batch.ids for batch in found]), SPLIT.ids)
    assert torch.equal(torch.cat([batch.labels for batch in found]), SPLIT.labels)
    images = torch.cat([batch.images for batch in found])
    assert torch.equal(images, normalise(SPLIT.images, SPEC))


def test_normalise_equals_torchvisions() -> None:
    before = SPLIT.images.clone()
    expected: Tensor = normalize(SPLIT.images.float() / 255, list(SPEC.mean), list(SPEC.std))
    found = normalise(SPLIT.images, SPEC)
    assert found.dtype == torch.float32
    assert torch.allclose(found, expected, atol=1e-6)
    assert torch.equal(SPLIT.images, before)


def test_facts_tell_what_the_batches_follow_from() -> None:
    facts = batches().facts()
    assert facts == batches().facts()
    darker = Split(SPLIT.images // 2, SPLIT.labels, SPLIT.ids)
    others = [
        batches(seed=1),
        batches(augmentation=Augmentation(("flip",))),
        batches(size=8),
        TrainBatches(SPLIT, SPEC, 0, 16, replace(ALL, crop_padding=2)),
        TrainBatches(darker, SPEC, 0, 16, ALL),
        TrainBatches(SPLIT, replace(SPEC, mean=(0.5, 0.5, 0.5)), 0, 16, ALL),
    ]
    for other in others:
        assert other.facts() != facts


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_what_a_cpu_sees() -> None:
    moved = TrainBatches(SPLIT.to(torch.device("cuda")), SPEC, 0, 16, ALL).batch(1, 1)
    assert moved.images.is_cuda
    here = batches().batch(1, 1)
    assert torch.equal(moved.ids.cpu(), here.ids)
    # One level of 255 at most, from rounding a resized pixel.
    level = 1 / 255 / min(SPEC.std)
    assert (moved.images.cpu() - here.images).abs().max() < 1.01 * level
