"""Damage to datasets: the images are the published ones to the last bit, or they are refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from random import Random
from typing import Any

import pytest
from torchvision.datasets import FashionMNIST

from damaged_files import another_kind, clear, damaged, fuzz, replaced
from small_datasets import COUNTS, TOP, write_cifar, write_fashion, write_svhn, write_tiny
from stillhouse import data
from stillhouse.data import fashion_mnist
from stillhouse.errors import DataError

Shrink = Callable[..., Any]


def spoil(
    pytestconfig: pytest.Config, target: str, share: int, root: Path, files: list[Path]
) -> None:
    """Damage one file at a time and load."""
    name = target.split()[0]
    good = data.load(name, root).content_hash()
    contents = [path.read_bytes() for path in files]

    def case(random: Random) -> str:
        index = random.randrange(len(files))
        content = damaged(random, contents[index], *contents)
        other = another_kind(random, tuple(files)) if random.random() < 0.15 else content
        with replaced(files[index], other):
            try:
                found = data.load(name, root).content_hash()
            except DataError as error:
                return clear(error, files[index], f"{name}: the ")
        assert found == good, f"{files[index]} was damaged and other images were loaded"
        return "correct"

    fuzz(pytestconfig, target, share, case)


def test_cifar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink: Shrink, pytestconfig: pytest.Config
) -> None:
    write_cifar("Cifar10", tmp_path, monkeypatch, shrink)
    files = sorted((tmp_path / "cifar-10-batches-py").iterdir())
    spoil(pytestconfig, "Cifar10", 30, tmp_path, files)


def test_svhn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink: Shrink, pytestconfig: pytest.Config
) -> None:
    write_svhn(tmp_path, monkeypatch, shrink)
    spoil(pytestconfig, "SVHN", 20, tmp_path, sorted(tmp_path.glob("*.mat")))


@pytest.mark.parametrize("source", ["Debian", "download"])
def test_fashion_mnist(
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shrink: Shrink,
    pytestconfig: pytest.Config,
) -> None:
    shrink("FashionMNIST", *COUNTS.values())
    folder = tmp_path / "FashionMNIST" / "raw"
    write_fashion(folder)
    files = [folder / name for name, _ in FashionMNIST.resources]
    monkeypatch.setattr(fashion_mnist, "DEBIAN", folder if source == "Debian" else tmp_path)
    sums = [(path.name, md5(path.read_bytes()).hexdigest()) for path in files]
    monkeypatch.setattr(FashionMNIST, "resources", sums)
    spoil(pytestconfig, f"FashionMNIST ({source})", 30, tmp_path, files)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink: Shrink) -> Path:
    """Tiny ImageNet, unpacked."""
    write_tiny(tmp_path, monkeypatch, shrink)
    data.fetch("TinyImageNet", tmp_path)
    return tmp_path


def test_decoded_images(tiny: Path, pytestconfig: pytest.Config) -> None:
    good = data.load("TinyImageNet", tiny).content_hash()
    shutil.rmtree(tiny / TOP)
    decoded = tiny / f"{TOP}.safetensors"
    content = decoded.read_bytes()

    def case(random: Random) -> str:
        other = another_kind(random, (tiny,)) if random.random() < 0.1 else None
        with replaced(decoded, other or damaged(random, content)):
            try:
                found = data.load("TinyImageNet", tiny).content_hash()
            except DataError as error:
                return clear(error, decoded, tiny / TOP, "TinyImageNet: the ")
        assert found == good, "damaged images were loaded"
        return "correct"

    fuzz(pytestconfig, "TinyImageNet decoded", 30, case)


def test_lists_and_images_that_were_unpacked(tiny: Path, pytestconfig: pytest.Config) -> None:
    """JPEG has no checksum: a flipped bit may give other pixels, and so another content hash."""
    files = [path for path in sorted((tiny / TOP).rglob("*")) if path.is_file()]
    files = [path for path in files if "test" not in path.parts and "boxes" not in path.name]
    good = data.load("TinyImageNet", tiny).content_hash()
    decoded = tiny / f"{TOP}.safetensors"

    def case(random: Random) -> str:
        path = random.choice(files)
        decoded.unlink(missing_ok=True)
        content = path.read_bytes()
        other = damaged(random, content, content.replace(b"val_0", b"../../x"))
        with replaced(path, another_kind(random, (tiny,)) if random.random() < 0.15 else other):
            try:
                found = data.load("TinyImageNet", tiny).content_hash()
            except DataError as error:
                return clear(error, tiny / TOP, "TinyImageNet: ")
        return "correct" if found == good else "another content hash"

    fuzz(pytestconfig, "TinyImageNet unpacked", 50, case)
