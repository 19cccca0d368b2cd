"""An `.npz` file with MedMNIST's keys: `{train,val,test}_{images,labels}`. No torch.

Images are uint8 (n, height, width) or (n, height, width, 3), labels whole numbers (n,) or (n, 1).
"""

from __future__ import annotations

import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stillhouse.data.image_files import Part
from stillhouse.data.pixels import Bytes, Pixels, square
from stillhouse.errors import DataError, one_line

KEYS: dict[Part, str] = {"train": "train", "validation": "val", "test": "test"}
FORM = (
    "expected the arrays train_images, train_labels, test_images, test_labels and optionally "
    "val_images, val_labels; images uint8 (n, height, width) or (n, height, width, 3), one label "
    "per image"
)
DAMAGED = (OSError, ValueError, EOFError, KeyError, zlib.error, zipfile.BadZipFile)


def pixels(path: Path, size: int | None, channels: int | None) -> Pixels:
    """Return the images of a file, whose arrays are read when they are needed.

    Raises DataError for other arrays, for several labels per image, for volumes, and for images
    that are no squares if no size is given.
    """
    keys, labels, (height, width, depth) = _arrays(path)
    if size is None and height != width:
        raise DataError(
            f"the images of {path} have {width} x {height} pixels",
            "set size: the side of the square, in pixels, that each becomes (its centre, resized)",
        )
    side, kept = size or height, channels or depth
    labels.setdefault("validation", np.empty(0, np.int64))
    count = max(int(values.max(initial=-1)) for values in labels.values()) + 1
    resized = 0 if (height, width) == (side, side) else sum(map(len, labels.values()))
    names = tuple(map(str, range(count)))
    test_is = "" if keys["test"] == KEYS["test"] else f"those in {keys['test']}_images"
    read = partial(_read, path, keys, side, kept)
    return Pixels(names, kept, side, labels, read, test_is, resized)


def sizes(path: Path) -> Counter[tuple[int, int]]:
    """Return how many images have each (width, height). Raises DataError as `pixels` does."""
    _, labels, (height, width, _) = _arrays(path)
    return Counter({(width, height): sum(map(len, labels.values()))})


def _arrays(
    path: Path,
) -> tuple[dict[Part, str], dict[Part, NDArray[np.int64]], tuple[int, int, int]]:
    """Return the keys and labels of each part, and height, width and channels of all images."""
    labels: dict[Part, NDArray[np.int64]] = {}
    shapes: set[tuple[int, int, int]] = set()
    try:
        with np.load(path, allow_pickle=False) as arrays:
            keys = _keys(path, set(arrays.files))
            for part, key in keys.items():
                labels[part] = _labels(path, f"{key}_labels", arrays[f"{key}_labels"])
                shapes.add(_shape(path, f"{key}_images", arrays, len(labels[part])))
    except DAMAGED as error:
        raise DataError(f"{path} cannot be read ({one_line(error)})", FORM) from error
    if len(shapes) > 1:
        raise DataError(f"{path}: the parts have images of {len(shapes)} shapes: {shapes}", FORM)
    return keys, labels, next(iter(shapes))


def _read(
    path: Path, keys: dict[Part, str], size: int, channels: int, part: Part
) -> Iterator[Bytes]:
    if part not in keys:
        return
    with np.load(path, allow_pickle=False) as arrays:
        images: Bytes = arrays[f"{keys[part]}_images"]
    kind = "L" if channels == 1 else "RGB"
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    for image in images:
        yield square(Image.fromarray(image).convert(kind), size)[None]


def _keys(path: Path, names: set[str]) -> dict[Part, str]:
    """Return the beginnings of the keys of each part; `val_` is the test set if it is alone."""
    found = {part: key for part, key in KEYS.items() if {f"{key}_images", f"{key}_labels"} <= names}
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    if not {"train", "test"} <= set(found):
        raise DataError(f"{path} holds {', '.join(sorted(names)) or 'nothing'}", FORM)
    return found


def _labels(path: Path, key: str, values: NDArray[np.generic]) -> NDArray[np.int64]:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise DataError(f"{path}: {key} has the shape {values.shape}: one label per image", FORM)
    if values.dtype.kind not in "ui" or (values.size and int(values.min()) < 0):
        raise DataError(f"{path}: {key} is not whole numbers from 0 on", FORM)
    return values.astype(np.int64)


def _shape(path: Path, key: str, arrays: np.lib.npyio.NpzFile, count: int) -> tuple[int, int, int]:
    """Return height, width and channels of the images under a key."""
    images = arrays[key]
    shape = images.shape
    if images.dtype != np.uint8:
        raise DataError(f"{path}: {key} is {images.dtype}, not uint8", FORM)
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)) or 0 in shape:
        raise DataError(f"{path}: {key} has the shape {shape}: no grey or colour pictures", FORM)
    if shape[0] != count:
        raise DataError(f"{path}: {shape[0]} {key}, but {count} labels", FORM)
    return shape[1], shape[2], 1 if len(shape) == 3 else shape[3]
