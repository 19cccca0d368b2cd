from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.data.base import Split
from stillhouse.data.split import hold_out, shares, stratified
from stillhouse.errors import ConfigError

SIZES = st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any)


def make(sizes: list[int]) -> Split:
    """Shuffled labels with these class sizes; `ids` start at 100, images hold their id."""
    labels = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    ids = torch.arange(len(labels)) + 100
    return Split(ids.to(torch.uint8).view(-1, 1, 1, 1), labels, ids)


@settings(deadline=None)
@given(SIZES, st.data(), st.integers(0, 3))
def test_parts_are_exact_proportional_and_in_order(
    sizes: list[int], draw: st.DataObject, seed: int
) -> None:
    split = make(sizes)
    total, classes = sum(sizes), sum(size > 0 for size in sizes)
    count = draw.draw(st.integers(classes, total))
    if any(size and not share for size, share in zip(sizes, shares(sizes, count), strict=True)):
        with pytest.raises(ConfigError, match=f"{count} of {total} .*of class"):
            stratified(split, count, seed)
        return
    rest, held_out = stratified(split, count, seed)
    assert len(held_out) == count
    assert sorted(rest.ids.tolist() + held_out.ids.tolist()) == split.ids.tolist()
    for part in (rest, held_out):
        assert part.ids.tolist() == sorted(part.ids.tolist())
        assert torch.equal(part.labels, split.labels[part.ids - 100])
        assert torch.equal(part.images.flatten(), part.ids.to(torch.uint8))
    for label, size in enumerate(sizes):
        assert abs(int((held_out.labels == label).sum()) - count * size / total) < 1


@settings(deadline=None)
@given(SIZES, st.data())
def test_shares_add_up(sizes: list[int], draw: st.DataObject) -> None:
    count = draw.draw(st.integers(0, sum(sizes)))
    found = shares(sizes, count)
    assert sum(found) == count
    assert all(0 <= share <= size for share, size in zip(found, sizes, strict=True))


def test_largest_remainders_win() -> None:
    # 5 of 10 in 1 : 3 : 6 is 0.5 : 1.5 : 3, so the first of the equal remainders is rounded up.
    assert shares([1, 3, 6], 5) == [1, 1, 3]
    # 4 of 10 is 0.4 : 1.2 : 2.4.
    assert shares([1, 3, 6], 4) == [1, 1, 2]
    assert shares([6, 3, 1], 4) == [3, 1, 0]


def test_choice_follows_from_the_seed() -> None:
    split = make([50, 50])
    first, again, other = (stratified(split, 20, seed)[1].ids.tolist() for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_every_image_is_held_out_equally_often() -> None:
    split = make([10, 20])
    counts = torch.zeros(30)
    for seed in range(300):
        counts[stratified(split, 6, seed)[1].ids - 100] += 1
    # Binomial (300, 1/5): standard deviation 6.9; six of them either way.
    assert (counts - 60).abs().max() < 42


def test_a_class_of_which_nothing_would_be_taken_is_named_with_a_count_that_is_enough() -> None:
    split = make([90, 0, 3, 7])
    with pytest.raises(
        ConfigError, match=r"5 of 100 .* none of the 3 of class 2\n.*at least 34 for"
    ):
        stratified(split, 5, 0)
    _, taken = stratified(split, 34, 0)
    assert {*taken.labels.tolist()} == {0, 2, 3}


def test_every_class_keeps_an_image_to_train_on() -> None:
    split = make([20, 1])
    with pytest.raises(ConfigError, match=r"11 of 21 .* leave none of class 1 to train on"):
        hold_out(split, 11, 0)
    assert len(stratified(split, 11, 0)[0]) == 10  # all right for `train_images`
    rest, held_out = hold_out(make([20, 10]), 6, 0)
    assert (len(rest), len(held_out)) == (24, 6)


@pytest.mark.parametrize("count", [0, 2, 31])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(ConfigError, match=f"cannot take {count} of 30 images in 3 classes"):
        stratified(make([10, 10, 10]), count, 0)
