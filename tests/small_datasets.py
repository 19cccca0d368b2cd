"""Datasets of a few images in the published formats, and what the readers must be told of them."""

from __future__ import annotations

import gzip
import pickle
import struct
from collections.abc import Callable
from hashlib import md5
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar
from zipfile import ZipFile

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat
from torchvision.datasets import CIFAR10, CIFAR100, SVHN

from stillhouse.data import cifar_binary, tiny_imagenet
from stillhouse.data.base import Dataset

Shrink = Callable[[str, int, int], Any]
CIFAR = {"Cifar10": CIFAR10, "Cifar100": CIFAR100}
EACH = 4
CLASSES = ["n02124075", "n01443537", "n04067472"]
TOP = "tiny-imagenet-200"
COUNTS = {"train": 7, "t10k": 3}


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


def write_cifar(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch, shrink: Shrink
) -> tuple[str, NDArray[np.uint8], list[int], NDArray[np.uint8]]:
    """Small files as Python 2 wrote the published ones, whose checksums torchvision is told."""
    reader = CIFAR[name]
    folder = root / reader.base_folder
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


def write_cifar_binary(name: str, root: Path, dataset: Dataset) -> Path:
    """The same images as rows of bytes, as in the published binary version; its folder."""
    layout = cifar_binary.LAYOUTS[name]
    folder = root / layout.folder
    folder.mkdir(parents=True)
    for split, files in ((dataset.train, layout.train), (dataset.test, layout.test)):
        labels = np.zeros((len(split), layout.label_bytes), np.uint8)
        labels[:, -1] = split.labels.numpy()
        rows = np.concatenate([labels, split.images.numpy().reshape(len(split), -1)], axis=1)
        for file, part in zip(files, np.split(rows, len(files)), strict=True):
            part.tofile(folder / file)
    return folder


def write_svhn(
    root: Path, monkeypatch: pytest.MonkeyPatch, shrink: Shrink
) -> dict[str, tuple[NDArray[np.uint8], list[int]]]:
    """Both files in MATLAB's format: X (32, 32, 3, n), y (n, 1), the digit 0 labelled 10."""
    random = np.random.default_rng(0)
    content, sums = {}, {}
    for split, count in (("train", 12), ("test", 5)):
        images = random.integers(0, 256, (32, 32, 3, count), dtype=np.uint8)
        labels = (np.arange(count, dtype=np.uint8) % 10 + 1)[:, None]
        path = root / f"{split}_32x32.mat"
        savemat(path, {"X": images, "y": labels}, do_compression=True)
        url, name, _ = SVHN.split_list[split]
        sums[split] = [url, name, md5(path.read_bytes()).hexdigest()]
        content[split] = images, labels.flatten().tolist()
    monkeypatch.setattr(SVHN, "split_list", SVHN.split_list | sums)
    shrink("SVHN", 12, 5)
    return content


def jpeg(color: tuple[int, int, int] | int) -> bytes:
    out = BytesIO()
    Image.new("RGB" if isinstance(color, tuple) else "L", (64, 64), color).save(out, "JPEG")
    return out.getvalue()


def members() -> dict[str, bytes]:
    """The archive's files: two training images a class, four validation images."""
    files = {"wnids.txt": "\n".join(CLASSES).encode() + b"\n"}
    for index, name in enumerate(CLASSES):
        files[f"train/{name}/{name}_boxes.txt"] = b""
        files[f"train/{name}/images/{name}_0.JPEG"] = jpeg((40 * index, 100, 200))
        files[f"train/{name}/images/{name}_1.JPEG"] = jpeg(80 * index)
    rows = []
    for index, name in enumerate([CLASSES[2], CLASSES[0], CLASSES[1], CLASSES[0]]):
        files[f"val/images/val_{index}.JPEG"] = jpeg((60 * index, 60 * index, 60 * index))
        rows.append(f"val_{index}.JPEG\t{name}\t0\t32\t44\t62\n")
    files["val/val_annotations.txt"] = "".join(rows).encode()
    files["test/images/test_0.JPEG"] = jpeg(0)
    return files


def write_tiny(root: Path, monkeypatch: pytest.MonkeyPatch, shrink: Shrink) -> Path:
    """A data folder that holds the archive only."""
    archive = root / tiny_imagenet.ARCHIVE
    with ZipFile(archive, "w") as file:
        for name, content in members().items():
            file.writestr(f"{TOP}/{name}", content)
    monkeypatch.setattr(tiny_imagenet, "MD5", md5(archive.read_bytes()).hexdigest())
    shrink("TinyImageNet", 6, 4)
    return root


def write_idx(path: Path, values: NDArray[np.uint8]) -> None:
    head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
    path.write_bytes(gzip.compress(head + values.tobytes()))


def write_fashion(folder: Path) -> dict[str, NDArray[np.uint8]]:
    random = np.random.default_rng(1)
    folder.mkdir(parents=True)
    images = {}
    for part, count in COUNTS.items():
        images[part] = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images[part])
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(count, dtype=np.uint8))
    return images
