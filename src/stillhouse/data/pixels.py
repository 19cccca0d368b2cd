"""Images of a user's own, to be read once, and the file that they are written to. No torch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stillhouse.data.image_files import PARTS, Part
from stillhouse.errors import DataError

Bytes = NDArray[np.uint8]
LEVELS = 256
DECIMALS = 4


@dataclass(frozen=True)
class Pixels:
    """The images of a dataset: `read` yields those of a part as (n, channels, size, size) uint8.

    `labels` are int64 from 0 to len(classes) - 1, in the order of `read`. `test_is` says which
    images are the test images, or is empty if their place does; `resized` counts those that had
    another size or form.
    """

    classes: tuple[str, ...]
    channels: int
    size: int
    labels: dict[Part, NDArray[np.int64]]
    read: Callable[[Part], Iterator[Bytes]]
    test_is: str
    resized: int

    def refuse_gaps(self, where: Path) -> None:
        """Raise DataError for less than two classes, or a class without a training image."""
        if len(self.classes) < 2:
            raise DataError(f"{where} has one class", "a classifier needs two")
        present = {*self.labels["train"].tolist()}
        if absent := [name for i, name in enumerate(self.classes) if i not in present]:
            raise DataError(f"{where}: no training image is of class {absent[0]}")
        if not len(self.labels["test"]):
            raise DataError(f"{where} has no test images")


def square(image: Image.Image, size: int) -> Bytes:
    """Return the centred square of an 8-bit image, resized (bilinear, antialiased) to `size`.

    The shape is (channels, size, size). An image of this size keeps its pixels.
    """
    if image.size != (size, size):
        side = min(image.size)
        left, top = (round((length - side) / 2) for length in image.size)
        image = image.crop((left, top, left + side, top + side))
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    values = np.asarray(image, np.uint8)
    return values[None] if values.ndim == 2 else values.transpose(2, 0, 1)


def write(pixels: Pixels, path: Path) -> dict[str, Any]:
    """Write all images to a safetensors file, and return what was measured on the way.

    The tensors are those of a decoded file: images uint8, labels int64, validation images after the
    training images. Memory holds a few hundred images at a time. Measured are the SHA-256 of
    `Dataset.content_hash`, and mean and standard deviation per channel of the training images in
    [0, 1].
    """
    labels = {
        "train": np.concatenate([pixels.labels["train"], pixels.labels["validation"]]),
        "test": pixels.labels["test"],
    }
    digest, counted = sha256(), np.zeros((pixels.channels, LEVELS), np.int64)
    with path.open("wb") as file:
        file.write(_head(labels, pixels.channels, pixels.size))
        for values in labels.values():
            file.write(values.astype("<i8").tobytes())
        for part in PARTS:
            for images in pixels.read(part):
                data = np.ascontiguousarray(images)
                digest.update(data.data)
                file.write(data.data)
                if part == "train":
                    counted += _histogram(data)
            if part != "train":
                digest.update(labels["train" if part == "validation" else "test"].data)
        file.flush()
        os.fsync(file.fileno())
    mean, std = moments(counted)
    return {"images": digest.hexdigest(), "mean": mean, "std": std}


def moments(counted: NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation per row of a histogram (channels, 256) of levels / 255.

    Rounded to four decimals, as published ones are.
    """
    levels = np.arange(LEVELS) / (LEVELS - 1)
    share = counted / counted.sum(axis=1, keepdims=True)
    mean = share @ levels
    std = np.sqrt(np.maximum(share @ levels**2 - mean**2, 0))
    return np.round(mean, DECIMALS).tolist(), np.round(std, DECIMALS).tolist()


def _histogram(images: Bytes) -> NDArray[np.int64]:
    """Count the levels of each channel: (channels, 256)."""
    channels = images.transpose(1, 0, 2, 3)
    return np.stack([np.bincount(one.ravel(), minlength=LEVELS) for one in channels])


def _head(labels: dict[str, NDArray[np.int64]], channels: int, size: int) -> bytes:
    """Return the head of a safetensors file: labels first, then images."""
    tensors, end = {}, 0
    shapes = [(f"{part}_labels", "I64", [len(values)]) for part, values in labels.items()]
    shapes += [
        (f"{part}_images", "U8", [len(values), channels, size, size])
        for part, values in labels.items()
    ]
    for name, kind, shape in shapes:
        start, end = end, end + int(np.prod(shape)) * (8 if kind == "I64" else 1)
        tensors[name] = {"dtype": kind, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(tensors, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text
