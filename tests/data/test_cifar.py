"""The files are written as Python 2 wrote the published ones: protocol 2, byte strings."""

from __future__ import annotations

import pickle
import struct
import tarfile
from collections.abc import Callable
from hashlib import md5
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from torchvision.datasets import CIFAR10, CIFAR100

from stillhouse import data
from stillhouse.errors import DataError

READERS = {"Cifar10": CIFAR10, "Cifar100": CIFAR100}
EACH = 4


class Python2Pickler(pickle._Pickler):
    """Strings as byte strings, and arrays by NumPy's module names and integers of that time."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)

    def save_text(self, text: str) -> None:
        encoded = text.encode("latin1")
        self.write(pickle.BINSTRING + struct.pack("<i", len(encoded)) + encoded)
        self.memoize(text)

    def save_array(self, array: NDArray[np.uint8]) -> None:
        self.write(b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n")
        self.save((0,))
        self.save("b")
        self.write(pickle.TUPLE3 + pickle.REDUCE + pickle.MARK)
        self.save(1)
        self.save(array.shape)
        self.write(b"cnumpy\ndtype\n")
        self.save(("u1", 0, 1))
        self.write(pickle.REDUCE)
        self.save((3, "|", None, None, None, -1, -1, 0))
        self.write(pickle.BUILD)
        self.save(False)
        self.save(array.tobytes().decode("latin1"))
        self.write(pickle.TUPLE + pickle.BUILD)

    dispatch[str] = save_text
    dispatch[np.ndarray] = save_array


def write_pickle(path: Path, value: Any) -> str:
    with path.open("wb") as file:
        Python2Pickler(file, protocol=2).dump(value)
    return md5(path.read_bytes()).hexdigest()


def write_batch(path: Path, seed: int, key: str, classes: int) -> tuple[Any, list[int], str]:
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (EACH, 3072), dtype=np.uint8)
    labels = random.integers(0, classes, EACH).tolist()
    names = [f"{row}.png" for row in range(EACH)]
    content = {"batch_label": path.name, key: labels, "data": images, "filenames": names}
    return images.reshape(-1, 3, 32, 32), labels, write_pickle(path, content)


@pytest.fixture(params=["Cifar10", "Cifar100"])
def written(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shrink: Callable[..., Any],
) -> tuple[str, NDArray[np.uint8], list[int], NDArray[np.uint8]]:
    """Small files in the true format, whose checksums torchvision is told."""
    name: str = request.param
    reader = READERS[name]
    folder = tmp_path / reader.base_folder
    folder.mkdir()
    key, classes = ("labels", 10) if name == "Cifar10" else ("fine_labels", 100)
    images, labels, sums = [], [], []
    for seed, (file, _) in enumerate(reader.train_list + reader.test_list):
        part, some, digest = write_batch(folder / file, seed, key, classes)
        images.append(part)
        labels.append(some)
        sums.append([file, digest])
    meta = reader.meta
    digest = write_pickle(
        folder / meta["filename"], {meta["key"]: [str(c) for c in range(classes)]}
    )
    monkeypatch.setattr(reader, "train_list", sums[:-1])
    monkeypatch.setattr(reader, "test_list", sums[-1:])
    monkeypatch.setattr(reader, "meta", meta | {"md5": digest})
    shrink(name, EACH * (len(sums) - 1), EACH)
    return name, np.concatenate(images[:-1]), [*chain(*labels[:-1])], images[-1]


def test_loads_files_in_the_published_format(written: Any, tmp_path: Path) -> None:
    name, images, labels, test_images = written
    dataset = data.load(name, tmp_path)
    assert np.array_equal(dataset.train.images.numpy(), images)
    assert np.array_equal(dataset.test.images.numpy(), test_images)
    assert dataset.train.labels.tolist() == labels
    assert dataset.train.ids.tolist() == list(range(len(labels)))


def test_nothing_is_unpickled_before_its_checksum_matches(written: Any, tmp_path: Path) -> None:
    name = written[0]
    reader = READERS[name]
    trap = tmp_path / "sprung"
    evil = b"cbuiltins\nopen\n(V" + str(trap).encode() + b"\nVw\ntR."
    for file in (reader.test_list[0][0], reader.meta["filename"]):
        path = tmp_path / reader.base_folder / file
        good = path.read_bytes()
        path.write_bytes(evil)
        with pytest.raises(DataError, match="is damaged") as caught:
            data.load(name, tmp_path)
        assert caught.value.hint == f"stillhouse data fetch {name} --data-root {tmp_path}"
        assert not trap.exists()
        path.write_bytes(good)


def test_missing_file_names_the_cure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path))
    with pytest.raises(DataError, match="data_batch_1 is missing") as caught:
        data.check("Cifar10", data.data_root())
    assert caught.value.hint == "stillhouse data fetch Cifar10"


def test_fetch_unpacks_an_archive_that_is_here(
    written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, images, *_ = written
    reader, root = READERS[name], tmp_path / "fresh"
    root.mkdir()
    with tarfile.open(root / reader.filename, "w:gz") as archive:
        archive.add(tmp_path / reader.base_folder, reader.base_folder)
    monkeypatch.setattr(reader, "tgz_md5", md5((root / reader.filename).read_bytes()).hexdigest())
    data.fetch(name, root)
    assert np.array_equal(data.load(name, root).train.images.numpy(), images)
