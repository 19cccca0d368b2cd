"""The binary versions of CIFAR-10 and CIFAR-100: rows of label bytes and pixels, no pickle.

The published files are identified by their SHA-256. Other files are accepted if they hold the
published images in another order, according to the spec's fingerprint.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import fetch_command
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import DataError

PUBLISHED = "the published files (binary version)"


@dataclass(frozen=True)
class Layout:
    """A binary version: `label_bytes` before the pixels of each image; the last byte is the class.

    `sha256` is the hash of the published training and test files in order, if known.
    """

    folder: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label_bytes: int
    sha256: str | None = None


LAYOUTS = {
    "Cifar10": Layout(
        "cifar-10-batches-bin",
        tuple(f"data_batch_{number}.bin" for number in range(1, 6)),
        ("test_batch.bin",),
        label_bytes=1,
        sha256="013ba16d14ecc4829da62bf2af648ca30f600491ecb3e7f329c827db0dd17522",
    ),
    "Cifar100": Layout("cifar-100-binary", ("train.bin",), ("test.bin",), label_bytes=2),
}


def present(spec: DatasetSpec, root: Path) -> bool:
    """Return whether the folder of the binary version exists."""
    return (root / LAYOUTS[spec.name].folder).is_dir()


def sources(spec: DatasetSpec, root: Path) -> list[Path]:
    """Return the files of the binary version."""
    layout = LAYOUTS[spec.name]
    return [root / layout.folder / name for name in layout.train + layout.test]


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """Return the images as uint8, in the order of the files; call `check` first."""
    layout = LAYOUTS[spec.name]
    train = _read(spec, root, layout.train, spec.train_images)
    return make_dataset(spec, train, _read(spec, root, layout.test, spec.test_images))


def check(spec: DatasetSpec, root: Path) -> str:
    """Return which files these are. Raises DataError unless they hold the published images."""
    layout = LAYOUTS[spec.name]
    files = sources(spec, root)
    for path in files:
        if not path.is_file():
            raise _unusable(spec, root, path, "is missing")
    if layout.sha256 and sha256_of(files) == layout.sha256:
        return PUBLISHED
    dataset = load(spec, root)
    if dataset.fingerprint() == spec.fingerprint:
        return f"the published images in {_order(dataset, layout)}"
    raise _unusable(
        spec,
        root,
        root / layout.folder,
        "does not hold the published images (neither the SHA-256 of its files nor the fingerprint "
        "of its images is the published one)",
    )


def _order(dataset: Dataset, layout: Layout) -> str:
    if bool((dataset.train.labels.diff() >= 0).all()):
        return "another order (sorted by class)"
    return "another order" if layout.sha256 else "an order that is not known to be the published"


def sha256_of(files: list[Path]) -> str:
    """Return the SHA-256 of the content of some files, in order."""
    digest = sha256()
    for path in files:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(
    spec: DatasetSpec, root: Path, names: tuple[str, ...], count: int
) -> tuple[Tensor, Tensor]:
    layout = LAYOUTS[spec.name]
    row = layout.label_bytes + spec.channels * spec.size**2
    expected = count // len(names) * row
    parts = []
    for path in (root / layout.folder / name for name in names):
        if (size := path.stat().st_size) != expected:
            raise _unusable(
                spec, root, path, f"is damaged: it has {size:,} bytes, expected {expected:,}"
            )
        parts.append(np.fromfile(path, np.uint8).reshape(-1, row))
    rows = np.concatenate(parts)
    pixels = rows[:, layout.label_bytes :].reshape(-1, spec.channels, spec.size, spec.size)
    labels = rows[:, layout.label_bytes - 1].astype(np.int64)
    return torch.from_numpy(np.ascontiguousarray(pixels)), torch.from_numpy(labels)


def _unusable(spec: DatasetSpec, root: Path, path: Path, problem: str) -> DataError:
    return DataError(
        f"{spec.name}: {path} {problem}",
        f"restore its files, or remove the folder {LAYOUTS[spec.name].folder} and type: "
        f"{fetch_command(spec.name, root)}",
    )
