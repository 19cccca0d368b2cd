"""Tiny ImageNet (Stanford CS231n): 200 classes, 500 training and 50 validation images of each.

The published test images have no labels, so the validation images are the test set, as in the
field. Classes are numbered by their sorted WordNet ids, images sorted by class and file name. The
decoded images are kept beside the folder, so only the first load decodes.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets.utils import download_url

from stillhouse.data import decoded
from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import unusable
from stillhouse.data.specs import DatasetSpec
from stillhouse.data.unpack import unpack
from stillhouse.errors import DataError

FOLDER = "tiny-imagenet-200"
ARCHIVE = f"{FOLDER}.zip"
URL = f"http://cs231n.stanford.edu/{ARCHIVE}"
FETCH = "stillhouse data fetch TinyImageNet"
WORDNET_ID = re.compile(r"n\d{8}")
IMAGE_NAME = re.compile(r"\w+\.JPEG", re.ASCII)
MD5 = "90528d7ca1a48142e341f4ef8d21d0de"


def load(spec: DatasetSpec, root: Path) -> Dataset:
    """Decode the images as uint8 RGB; takes about a minute."""
    return _decode(spec, root / FOLDER)


def fetch(spec: DatasetSpec, root: Path) -> None:
    """Download and unpack the archive, unless its folder is already present."""
    if not _decoded(spec, root) and _missing(root) is not None:
        download_url(URL, root, ARCHIVE, MD5)
        unpack(root / ARCHIVE, FOLDER)


def check(spec: DatasetSpec, root: Path) -> str:
    """Return what is present. Raises DataError without decoded images and all folders."""
    if _decoded(spec, root):
        return ""
    if path := _missing(root):
        raise unusable(spec.name, root, path, "is missing")
    return "the unpacked archive; the first load decodes it, which takes about a minute"


def sources(spec: DatasetSpec, root: Path) -> list[Path]:
    """Return no file: the decoded images are enough, and the 110,000 files may be removed."""
    return []


def _decoded(spec: DatasetSpec, root: Path) -> bool:
    return any(path.exists() for path in decoded.places(spec, root))


def _missing(root: Path) -> Path | None:
    folder = root / FOLDER
    for path in (folder / "wnids.txt", _annotations(folder)):
        if not path.is_file():
            return path
    folders = (_train_images(folder, name) for name in _classes(folder))
    return next((path for path in folders if not path.is_dir()), None)


def _classes(folder: Path) -> list[str]:
    names = sorted(_lines(folder / "wnids.txt"))
    if bad := [name for name in names if not WORDNET_ID.fullmatch(name)]:
        raise _damaged(folder / "wnids.txt", f"holds {bad[0][:40]!r}, which is not a WordNet id")
    return names


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _damaged(path, f"is not readable ({error})") from error


def _damaged(path: Path, what: str) -> DataError:
    return DataError(f"{path} {what}", f"remove the folder {FOLDER} and repeat `{FETCH}`")


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
    test = []
    for number, line in enumerate(_lines(_annotations(folder)), start=1):
        name, label = (*line.split("\t"), "", "")[:2]
        if label not in labels or not IMAGE_NAME.fullmatch(name):
            raise _damaged(
                _annotations(folder),
                f"has on line {number} {line[:40]!r}, which is not an image of it",
            )
        test.append((labels[label], folder / "val" / "images" / name))
    return make_dataset(spec, _read_images(spec, train), _read_images(spec, sorted(test)))


def _read_images(spec: DatasetSpec, files: list[tuple[int, Path]]) -> tuple[Tensor, Tensor]:
    images = np.empty((len(files), spec.size, spec.size, spec.channels), np.uint8)
    for row, (_, path) in enumerate(files):
        try:
            if not path.is_file():  # a pipe would block
                raise ValueError("it is not a file")
            with Image.open(path, formats=["JPEG"]) as image:
                if image.size != (spec.size, spec.size):
                    raise ValueError(f"it has {image.width} x {image.height}")
                # Some are grey; three equal channels make them like the others.
                images[row] = np.asarray(image.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            what = f"is not a readable image of {spec.size} x {spec.size} pixels ({error})"
            raise _damaged(path, what) from error
    labels = torch.tensor([label for label, _ in files])
    return torch.from_numpy(images).permute(0, 3, 1, 2), labels
