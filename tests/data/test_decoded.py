"""Decoded images: written once, opened at once, shared, and never those of other files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from stillhouse.data import decoded
from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.specs import SPECS, DatasetSpec
from stillhouse.errors import DataError


class Family:
    """A dataset in one file of raw bytes; counts how often it is decoded."""

    def __init__(self, spec: DatasetSpec, root: Path) -> None:
        self.path = root / "images.bin"
        self.spec = spec
        self.decodings = 0
        self.write(0)

    def write(self, seed: int) -> None:
        count = self.spec.train_images + self.spec.test_images
        size = count * self.spec.channels * self.spec.size**2
        self.path.parent.mkdir(parents=True, exist_ok=True)
        np.random.default_rng(seed).integers(0, 256, size, np.uint8).tofile(self.path)

    def sources(self, spec: DatasetSpec, root: Path) -> list[Path]:
        return [self.path]

    def check(self, spec: DatasetSpec, root: Path) -> str:
        if not self.path.is_file():
            raise DataError(f"{self.path} is missing")
        return "raw bytes"

    def load(self, spec: DatasetSpec, root: Path) -> Dataset:
        self.decodings += 1
        pixels = torch.from_numpy(np.fromfile(self.path, np.uint8))
        images = pixels.view(-1, spec.channels, spec.size, spec.size)
        labels = torch.arange(len(images)) % spec.classes
        cut = spec.train_images
        return make_dataset(spec, (images[:cut], labels[:cut]), (images[cut:], labels[cut:]))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, where decoded images go that cannot lie beside the dataset."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def family(tmp_path: Path) -> Family:
    return Family(replace(SPECS["Cifar10"], train_images=40, test_images=20), tmp_path / "data")


def load(family: Family) -> Dataset:
    return decoded.load(family.spec, family.path.parent, family)


def test_images_are_decoded_once_and_are_the_same(family: Family) -> None:
    before = family.load(family.spec, family.path.parent)
    first, second = load(family), load(family)
    assert family.decodings == 2  # ours above and the first
    for found in (first, second):
        assert found.note == ""
        assert torch.equal(found.train.images, before.train.images)
        assert torch.equal(found.test.labels, before.test.labels)
        assert found.content_hash() == before.content_hash()
    assert not list(family.path.parent.glob(".*"))


def test_decoding_is_announced_and_happens_once(family: Family) -> None:
    said: list[str] = []
    for _ in range(2):
        decoded.load(family.spec, family.path.parent, family, said.append)
    assert said == ["Cifar10: decoding its images, once"]


def test_other_images_are_decoded_anew(family: Family) -> None:
    first = load(family).content_hash()
    family.write(1)
    assert load(family).content_hash() != first
    assert family.decodings == 2
    family.path.unlink()
    with pytest.raises(DataError, match=r"images\.bin is missing"):
        load(family)


def test_a_changed_decoded_file_is_refused(family: Family) -> None:
    load(family)
    path, _ = decoded.places(family.spec, family.path.parent)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="its checksum is wrong") as caught:
        load(family)
    assert "remove it" in caught.value.hint


def test_check_finds_a_flipped_bit_that_changed_no_time(family: Family) -> None:
    load(family)
    root = family.path.parent
    path, _ = decoded.places(family.spec, root)
    assert decoded.check(family.spec, root, family) == f"decoded in {path}"
    times = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(DataError, match="its checksum is wrong"):
        decoded.check(family.spec, root, family)


def test_a_dataset_with_other_images_has_another_hash(family: Family) -> None:
    found = load(family)
    other = replace(found, train=found.train.rows(torch.arange(len(found.train)).flip(0)))
    assert other.content_hash() != found.content_hash()


def test_a_folder_that_cannot_be_written_is_reported(
    family: Family, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, family.path.parent)
    first = load(family)
    beside, elsewhere = decoded.places(family.spec, family.path.parent)
    assert elsewhere.is_relative_to(cache) and elsewhere.is_file() and not beside.exists()
    assert first.note.startswith(f"decoded images are kept in {elsewhere}")
    assert load(family).content_hash() == first.content_hash()
    assert family.decodings == 1


def test_images_stay_in_memory_where_nothing_can_be_written(
    family: Family, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = family.load(family.spec, family.path.parent).content_hash()
    refuse(monkeypatch, family.path.parent, cache)
    found = load(family)
    assert found.content_hash() == expected
    assert "every process holds the images in its own memory" in found.note


def refuse(monkeypatch: pytest.MonkeyPatch, *folders: Path) -> None:
    """Let nothing be written below some folders, as on a read-only file system."""
    real = decoded.temporary

    def temporary(path: Path) -> Path:
        if any(path.is_relative_to(folder) for folder in folders):
            raise OSError(30, "Read-only file system", str(path))
        return real(path)

    monkeypatch.setattr(decoded, "temporary", temporary)


WORKER = """
import json, sys
from pathlib import Path
sys.path[:0] = sys.argv[1:2]
import torch
from test_decoded import Family, load
from stillhouse.data.specs import SPECS
from stillhouse.data.split import stratified

def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous")) >> 10

family = Family.__new__(Family)
family.spec, family.path, family.decodings = SPECS["Cifar10"], Path(sys.argv[2]), 0
before = private()
found = load(family)
part, rest = stratified(found.train, 5_000, 0)
total = sum(int(split.rows(slice(start, start + 500)).pixels.sum())
            for split in (part, rest, found.test) for start in range(0, len(split), 500))
print(json.dumps([family.decodings, total, found.content_hash(), private() - before]))
"""


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux's measure")
def test_processes_share_the_images(tmp_path: Path) -> None:
    family = Family(SPECS["Cifar10"], tmp_path / "data")
    first = load(family)
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(family.path)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    total = int(first.train.images.sum()) + int(first.test.images.sum())
    for decodings, found, content, private in answers:
        assert (decodings, found, content) == (0, total, first.content_hash())
        assert private < 40  # MiB, of images that have 176
    started = time.process_time()
    load(family)
    assert time.process_time() - started < 0.1


def test_workers_that_decode_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    family = Family(SPECS["Cifar10"], tmp_path / "data")
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(family.path)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    answers = [json.loads(worker.communicate()[0]) for worker in workers]
    assert answers[0][1:3] == answers[1][1:3]
    assert sum(decodings for decodings, *_ in answers) >= 1
    assert sorted(path.name for path in family.path.parent.iterdir()) == [
        "Cifar10.safetensors",
        "images.bin",
    ]
