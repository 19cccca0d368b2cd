"""Tiny ImageNet (Stanford CS231n): 200 classes, 500 training and 50 validation images of each.

The published test images have no labels, so the validation images are the test set, as in the
field. Classes are numbered by their sorted WordNet ids and images sorted by class and file name.
The decoded images are kept beside the folder, so that only the first load decodes.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from torchvision.datasets.utils import download_url

from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import unusable
from stillhouse.data.specs import DatasetSpec
from stillhouse.data.unzip import unzip
from stillhouse.errors import DataError

FOLDER = "tiny-imagenet-200"
ARCHIVE = f"{FOLDER}.zip"
DECODED = f"{FOLDER}.safetensors"
URL = f"http://cs231n.stanford.edu/{ARCHIVE}"
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """The images as uint8 RGB: the decoded ones, else decoded now (about a minute) and kept."""
    path = root / DECODED
    if not path.exists():
        _write_decoded(_decode(spec, root / FOLDER), path)
    return _read_decoded(spec, path)


def fetch(spec: DatasetSpec, root: Path) -> None:
    """Download and unpack the archive, unless its folder is there."""
    if _missing(root) is not None:
        download_url(URL, root, ARCHIVE, MD5)
        unzip(root / ARCHIVE, FOLDER)


def check(spec: DatasetSpec, root: Path) -> None:
    """Raise DataError unless the decoded images or all folders of the archive are there."""
    if path := _missing(root):
        raise unusable(spec.name, root, path, "is missing")


def _missing(root: Path) -> Path | None:
    folder = root / FOLDER
    if (root / DECODED).exists():
        return None
    for path in (folder / "wnids.txt", _annotations(folder)):
        if not path.is_file():
            return path
    folders = (_train_images(folder, name) for name in _classes(folder))
    return next((path for path in folders if not path.is_dir()), None)


def _classes(folder: Path) -> list[str]:
    return sorted((folder / "wnids.txt").read_text().split())


def _train_images(folder: Path, name: str) -> Path:
    return folder / "train" / name / "images"


def _annotations(folder: Path) -> Path:
    return folder / "val" / "val_annotations.txt"


def _decode(spec: DatasetSpec, folder: Path) -> Dataset:
    labels = {name: label for label, name in enumerate(_classes(folder))}
    train = [
        (label, path)
        for name, label in labels.items()
        for path in sorted(_train_images(folder, name).glob("*.JPEG"))
    ]
    rows = [line.split("\t") for line in _annotations(folder).read_text().splitlines()]
    test = sorted((labels[row[1]], folder / "val" / "images" / row[0]) for row in rows)
    return make_dataset(spec, _read_images(spec, train), _read_images(spec, test))


def _read_images(spec: DatasetSpec, files: list[tuple[int, Path]]) -> tuple[Tensor, Tensor]:
    images = np.empty((len(files), spec.size, spec.size, spec.channels), np.uint8)
    for row, (_, path) in enumerate(files):
        try:
            with Image.open(path) as image:
                # Some are grey; as three equal channels they are like the rest.
                images[row] = np.asarray(image.convert("RGB"))
        except (OSError, ValueError) as error:
            raise DataError(
                f"{spec.name}: {path} is not a readable image of {spec.size} x {spec.size} pixels "
                f"({error})",
                f"remove the folder {FOLDER} and repeat `stillhouse data fetch {spec.name}`",
            ) from error
    labels = torch.tensor([label for label, _ in files])
    return torch.from_numpy(images).permute(0, 3, 1, 2), labels


def _write_decoded(dataset: Dataset, path: Path) -> None:
    tensors = {
        "train_images": dataset.train.images,
        "train_labels": dataset.train.labels,
        "test_images": dataset.test.images,
        "test_labels": dataset.test.labels,
    }
    # 1.4 GB: written to the side file directly rather than through a copy in memory.
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        safetensors.torch.save_file(tensors, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_decoded(spec: DatasetSpec, path: Path) -> Dataset:
    try:
        tensors = safetensors.torch.load_file(path)
    except SafetensorError as error:
        raise DataError(
            f"{spec.name}: {path} is damaged ({error})", "remove it; the next load decodes anew"
        ) from error
    train = tensors["train_images"], tensors["train_labels"]
    return make_dataset(spec, train, (tensors["test_images"], tensors["test_labels"]))
