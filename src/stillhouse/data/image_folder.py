"""The pixels of image files: any size, form and mode become squares of 8 bits. No torch."""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from stillhouse.data.image_files import Listing, Part
from stillhouse.data.pixels import Bytes, Pixels, square
from stillhouse.errors import DataError, one_line, some

SHOWN, AT_ONCE = 10, 512
GREY = frozenset({"1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B"})
SIXTEEN_BIT = frozenset({"I", "I;16", "I;16L", "I;16B"})
MAX_16 = 65_535
BROKEN = (
    *(OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError, TypeError, AttributeError),
    *(MemoryError, struct.error, zlib.error, Image.DecompressionBombError),
    Image.DecompressionBombWarning,
)


def pixels(found: Listing, size: int | None, channels: int | None) -> Pixels:
    """Return the images of a listing, which are decoded when they are read.

    Looks at the head of every file now. Raises DataError that names all broken and animated files,
    or for images of several sizes if no size is given.
    """
    shapes, modes = _heads(found)
    if size is None:
        size = _only_size(found.folder, shapes)
    if channels is None:
        channels = 1 if all(mode in GREY for mode in modes) else 3
    other = sum(count for shape, count in shapes.items() if shape != (size, size))
    labels = {
        part: np.array([label for _, label in files], np.int64)
        for part, files in found.files.items()
    }
    read = partial(_read, found, size, channels)
    return Pixels(found.classes, channels, size, labels, read, found.test_is, other)


def sizes(found: Listing) -> Counter[tuple[int, int]]:
    """Return how many images have each (width, height). Raises DataError for broken files."""
    return _heads(found)[0]


def _read(found: Listing, size: int, channels: int, part: Part) -> Iterator[Bytes]:
    broken: list[str] = []

    def one(path: str) -> Bytes | None:
        try:
            return read_image(found.folder / path, size, channels)
        except BROKEN as error:
            broken.append(_fault(path, error))
            return None

    files = found.files[part]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), AT_ONCE):
            images = list(pool.map(one, [path for path, _ in files[start : start + AT_ONCE]]))
            if not broken:
                yield np.stack([image for image in images if image is not None])
    _refuse_broken(found.folder, sorted(broken))


def read_image(path: Path, size: int, channels: int) -> Bytes:
    """Return the centred square of an image (channels, size, size), turned as EXIF says."""
    with Image.open(path) as image:
        levels = eight_bit(ImageOps.exif_transpose(image))
    kind = "L" if channels == 1 else "RGB"
    return square(levels if levels.mode == kind else levels.convert(kind), size)


def eight_bit(image: Image.Image) -> Image.Image:
    """Return an image as L or RGB: 16 bits are scaled, transparent pixels lie on white.

    Raises ValueError for pixels that are real numbers or outside 0 to 65,535.
    """
    if image.mode in SIXTEEN_BIT:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > MAX_16:
            raise ValueError("its pixels are not within 0 to 65,535")
        return Image.fromarray(np.rint(values / (MAX_16 / 255)).astype(np.uint8))
    if image.mode == "F":
        raise ValueError("its pixels are real numbers")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        image = Image.alpha_composite(white, over).convert("L" if image.mode in GREY else "RGB")
    return image.convert("L" if image.mode in GREY else "RGB")


def _heads(found: Listing) -> tuple[Counter[tuple[int, int]], set[str]]:
    """Return how many images have each size, and their modes; nothing is decoded."""
    sizes, modes, broken = Counter[tuple[int, int]](), set[str](), list[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for path in found.paths():
            try:
                with Image.open(found.folder / path) as image:
                    frames = getattr(image, "n_frames", 1)
                    # Cameras keep a preview as a second picture of an MPO file.
                    if frames > 1 and image.format != "MPO":
                        raise ValueError(f"it is animated or has pages: {frames} pictures")
                    sizes[image.size] += 1
                    modes.add("RGB" if image.mode not in GREY else image.mode)
            except BROKEN as error:
                broken.append(_fault(path, error))
    _refuse_broken(found.folder, broken)
    return sizes, modes


def _only_size(folder: Path, sizes: Counter[tuple[int, int]]) -> int:
    """Return the side of images that are all squares of one size."""
    (width, height), _ = sizes.most_common(1)[0]
    if len(sizes) == 1 and width == height:
        return width
    what = f"{width} x {height} pixels" if len(sizes) == 1 else f"{len(sizes)} different sizes"
    raise DataError(
        f"the images of {folder} have {what}",
        "set size: the side of the square, in pixels, that each becomes (its centre, resized), "
        "such as size: 64",
    )


def _fault(path: str, error: BaseException) -> str:
    return f"{path}: {one_line(error)}"


def _refuse_broken(folder: Path, broken: list[str]) -> None:
    if broken:
        raise DataError(
            f"{folder}: {len(broken)} files cannot be read as one picture each:\n    "
            + some(broken, SHOWN, "\n    "),
            "mend them or take them out of the folder",
        )
