"""The binary versions hold the images of the Python versions; any order of them is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from small_datasets import write_cifar, write_cifar_binary
from stillhouse import data
from stillhouse.data import cifar_binary
from stillhouse.data.base import Dataset
from stillhouse.data.specs import SPECS
from stillhouse.errors import DataError


@pytest.fixture(params=["Cifar10", "Cifar100"])
def pickled(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shrink: Callable[..., Any],
) -> Dataset:
    """A small dataset in the Python version, which counts as the published one."""
    write_cifar(request.param, tmp_path, monkeypatch, shrink)
    dataset = data.load(request.param, tmp_path)
    known = replace(dataset.spec, fingerprint=dataset.fingerprint())
    monkeypatch.setitem(SPECS, request.param, known)
    return replace(dataset, spec=known)


def reordered(dataset: Dataset) -> Dataset:
    order = torch.arange(len(dataset.train)).roll(1)
    return replace(dataset, train=dataset.train.rows(order))


def publish(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the files in `folder` be the published ones."""
    layout = cifar_binary.LAYOUTS[name]
    found = cifar_binary.sha256_of([folder / file for file in layout.train + layout.test])
    monkeypatch.setitem(cifar_binary.LAYOUTS, name, replace(layout, sha256=found))


def test_the_published_files_have_the_content_of_the_pickles(
    pickled: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = pickled.spec.name
    folder = write_cifar_binary(name, tmp_path / "binary", pickled)
    publish(name, folder, monkeypatch)
    assert data.check(name, tmp_path / "binary") == cifar_binary.PUBLISHED
    assert data.load(name, tmp_path / "binary").content_hash() == pickled.content_hash()


def test_the_binary_version_is_preferred(pickled: Dataset, tmp_path: Path) -> None:
    name = pickled.spec.name
    assert data.check(name, tmp_path).startswith("the published files (Python version)")
    write_cifar_binary(name, tmp_path, reordered(pickled))
    loaded = data.load(name, tmp_path)
    assert torch.equal(loaded.train.images, pickled.train.images.roll(1, dims=0))


def test_another_order_is_accepted_and_reported(
    pickled: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, other = pickled.spec.name, tmp_path / "other"
    publish(name, write_cifar_binary(name, tmp_path / "binary", pickled), monkeypatch)
    write_cifar_binary(name, other, reordered(pickled))
    assert data.check(name, other) == "the published images in another order"
    loaded = data.load(name, other)
    assert loaded.fingerprint() == pickled.fingerprint()
    assert loaded.content_hash() != pickled.content_hash()


def test_images_sorted_by_class_are_reported_as_such(pickled: Dataset, tmp_path: Path) -> None:
    name = pickled.spec.name
    by_class = pickled.train.rows(pickled.train.labels.argsort(stable=True))
    write_cifar_binary(name, tmp_path / "sorted", replace(pickled, train=by_class))
    found = data.check(name, tmp_path / "sorted")
    assert found == "the published images in another order (sorted by class)"


def test_other_images_are_refused(pickled: Dataset, tmp_path: Path) -> None:
    name = pickled.spec.name
    changed = pickled.train.images.clone()
    changed[0, 0, 0, 0] += 1
    train = replace(pickled.train, pixels=changed)
    folder = write_cifar_binary(name, tmp_path / "other", replace(pickled, train=train))
    with pytest.raises(DataError, match="does not hold the published images") as caught:
        data.load(name, tmp_path / "other")
    assert caught.value.hint == (
        f"restore its files, or remove the folder {folder.name} and type: "
        f"stillhouse data fetch {name} --data-root {tmp_path / 'other'}"
    )


def test_a_test_image_in_the_training_set_is_refused(pickled: Dataset, tmp_path: Path) -> None:
    name, train, test = pickled.spec.name, pickled.train, pickled.test
    images, labels = train.images.clone(), train.labels.clone()
    images[0], labels[0] = test.images[0], test.labels[0]
    swapped = replace(
        pickled,
        train=replace(train, pixels=images, labels=labels),
        test=replace(
            test,
            pixels=torch.cat([train.images[:1], test.images[1:]]),
            labels=torch.cat([train.labels[:1], test.labels[1:]]),
        ),
    )
    write_cifar_binary(name, tmp_path / "other", swapped)
    with pytest.raises(DataError, match="does not hold the published images"):
        data.check(name, tmp_path / "other")


def test_a_missing_or_cut_file_is_named(pickled: Dataset, tmp_path: Path) -> None:
    name = pickled.spec.name
    folder = write_cifar_binary(name, tmp_path / "other", pickled)
    path = folder / cifar_binary.LAYOUTS[name].test[0]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=rf"{path.name} is damaged: it has [\d,]+ bytes, expected"):
        data.check(name, tmp_path / "other")
    path.unlink()
    with pytest.raises(DataError, match=f"{path.name} is missing"):
        data.check(name, tmp_path / "other")


def test_fetch_leaves_a_binary_version_alone(pickled: Dataset, tmp_path: Path) -> None:
    name, other = pickled.spec.name, tmp_path / "other"
    folder = write_cifar_binary(name, other, pickled)
    data.fetch(name, other)
    assert list(other.iterdir()) == [folder]
