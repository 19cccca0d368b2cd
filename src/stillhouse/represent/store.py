"""`representations.safetensors`: what a run's network computes for a fixed list of images.

The tensors are `test/layer1`, `test/layer2`, ... (one per group of the network), `test/logits`,
`test/labels`, `test/ids`, and the same below `train/`. The file's metadata has one entry,
`header`: JSON with the fields of `Header` and `format`. Imports no torch.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from stillhouse.errors import RunError, one_line
from stillhouse.fields import first_fault
from stillhouse.runs.files import write_atomic
from stillhouse.runs.records import Digest, Natural

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]

Which = Literal["final", "best", "file", "untrained"]
FORMAT = 1
FILE = "representations.safetensors"
CURE = "remove it and repeat `stillhouse extract`"
SPLITS: tuple[Literal["test", "train"], ...] = ("test", "train")
BESIDE = ("logits", "labels", "ids")
TYPES = {"F32": "<f4", "I64": "<i8"}
EXPECTED = {"labels": ("I64", 1), "ids": ("I64", 1)}
SIZE_BYTES = 8


@dataclass(frozen=True)
class Rows:
    """A network's outputs for the images of one split, row for row, in the order of `ids`.

    `layers` are (rows, features) float32, means over the positions of each feature map, from input
    to output; `logits` (rows, classes) float32; `labels` and `ids` (rows,) int64. The ids are
    those of `data.base.Split`.
    """

    layers: Mapping[str, Float32]
    logits: Float32
    labels: Int64
    ids: Int64

    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """All tensors by their names below the split."""
        return {**self.layers, "logits": self.logits, "labels": self.labels, "ids": self.ids}


@with_config(ConfigDict(extra="ignore", strict=True))
@dataclass(frozen=True)
class Header:
    """Which network was shown which images.

    `run` is the run's path and `data` the content hash of its dataset; `sha256` is the hash of the
    file of weights, `weights` which one it is (`untrained`: initial
    weights, in no file), `epoch` the epoch after which it was written;
    `rows` is the hash of the ids and labels of all rows (see `rows_hash`), `code` the version of
    stillhouse, `device` what computed the rows.
    """

    run: str
    dataset: str
    data: Digest
    sha256: Digest
    weights: Which
    epoch: Natural
    rows: Digest
    code: str
    device: str


_HEADER = TypeAdapter(Header)


@dataclass(frozen=True)
class Representations:
    """The rows of the test set and of the fixed training subset, without augmentation."""

    header: Header
    test: Rows
    train: Rows

    @property
    def run(self) -> str:
        """The run's path, such as `Cifar10/logit/ResNet112_to_ResNet56/0`."""
        return self.header.run

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, from input to output."""
        return (*self.test.layers,)


def rows_hash(test: Rows, train: Rows) -> str:
    """SHA-256 of ids and labels, test before train: equal where rows can be compared."""
    digest = sha256()
    for rows in (test, train):
        for values in (rows.ids, rows.labels):
            digest.update(np.ascontiguousarray(values, dtype="<i8").tobytes())
    return digest.hexdigest()


def write(path: Path, representations: Representations) -> None:
    """Replace the file: a reader sees the old one or the new one, also after a crash."""
    tensors = {
        f"{split}/{name}": np.ascontiguousarray(values)
        for split in SPLITS
        for name, values in getattr(representations, split).tensors().items()
    }
    header = {
        "format": FORMAT,
        **asdict(representations.header),
        "layers": representations.layers,
    }
    # One entry, because several would be written in an order that changes from time to time.
    metadata = {"header": json.dumps(header, sort_keys=True)}
    write_atomic(path, save(tensors, metadata))


def read(path: Path) -> Representations:
    """Open a file: its arrays are read-only views of it, and what is not used is not read.

    Raises RunError if the file is missing, cut off, not of this format, or of other types.
    """
    header, layers, places = _survey(path)
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    start = SIZE_BYTES + int.from_bytes(content[:SIZE_BYTES], "little")
    arrays = {}
    for name, (kind, shape, (first, last)) in places.items():
        dtype = np.dtype(TYPES[kind])
        count = (last - first) // dtype.itemsize
        arrays[name] = np.frombuffer(content, dtype, count, start + first).reshape(shape)
    test, train = (
        Rows(
            {layer: arrays[f"{split}/{layer}"] for layer in layers},
            *(arrays[f"{split}/{name}"] for name in BESIDE),
        )
        for split in SPLITS
    )
    return Representations(header, test, train)


def read_header(path: Path) -> Header:
    """What a file holds, without its tensors. Raises RunError as `read` does."""
    return _survey(path)[0]


def check_same_rows(headers: Iterable[Header]) -> None:
    """Raise RunError unless all files hold the same rows of the same images."""
    first: Header | None = None
    for one in headers:
        first = first or one
        if (one.data, one.rows) != (first.data, first.rows):
            what = "images" if one.data != first.data else "rows"
            raise RunError(
                f"the representations of {one.run} and {first.run} are of other {what}",
                f"remove {FILE} of the one whose {what} are wrong and repeat `stillhouse extract`",
            )


def check_rows(stored: Sequence[Header]) -> list[str]:
    """What is wrong among files that should hold the same rows; one text per dataset."""
    problems = []
    for name in dict.fromkeys(one.dataset for one in stored):
        try:
            check_same_rows(one for one in stored if one.dataset == name)
        except RunError as error:
            problems.append(str(error))
    return problems


_Place = tuple[str, list[int], tuple[int, int]]


def _survey(path: Path) -> tuple[Header, list[str], dict[str, _Place]]:
    """The header, the layers, and every tensor's type, shape and bytes. Raises RunError."""
    if not path.is_file():  # a pipe would block
        raise RunError(f"{path} is not there", "write it with `stillhouse extract`")
    try:
        with safe_open(path, "np") as file:  # checks that the file is whole
            metadata = file.metadata() or {}
        with path.open("rb") as raw:
            entries = json.loads(raw.read(int.from_bytes(raw.read(SIZE_BYTES), "little")))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: not a whole safetensors file ({one_line(error)})", CURE) from error
    header, layers = _header(path, metadata)
    places = {
        name: (entry["dtype"], entry["shape"], tuple(entry["data_offsets"]))
        for name, entry in entries.items()
        if name != "__metadata__"
    }
    _check(path, layers, places)
    return header, layers, places


def _header(path: Path, metadata: Mapping[str, str]) -> tuple[Header, list[str]]:
    """Raises RunError for a file that `write` did not write, or a newer one."""
    foreign = RunError(f"{path}: not written by `stillhouse extract`", CURE)
    try:
        found = json.loads(metadata["header"])
        number, layers = found["format"], found["layers"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise foreign from None
    if not isinstance(number, int):
        raise foreign
    if number > FORMAT:
        raise RunError(
            f"{path}: written by a newer stillhouse (format {number}; this one reads up to "
            f"{FORMAT})",
            "update stillhouse",
        )
    if not isinstance(layers, list) or not layers or not all(isinstance(n, str) for n in layers):
        raise RunError(f"{path}: the field 'layers' is {layers!r}, expected names", CURE)
    try:
        return _HEADER.validate_json(metadata["header"]), layers
    except ValidationError as error:
        raise RunError(f"{path}: {first_fault(error)}", CURE) from None


def _check(path: Path, layers: list[str], places: Mapping[str, _Place]) -> None:
    """Raise RunError for a tensor that is missing, left over, or of another type or shape."""
    expected = [f"{split}/{name}" for split in SPLITS for name in (*layers, *BESIDE)]
    if missing := [name for name in expected if name not in places]:
        raise RunError(f"{path}: the tensor {missing[0]} is missing", CURE)
    if other := [name for name in places if name not in expected]:
        raise RunError(f"{path}: the tensor {other[0]} is in no layer of its header", CURE)
    for name in expected:
        split, _, short = name.partition("/")
        kind, dimensions = EXPECTED.get(short, ("F32", 2))
        rows = sum(places[f"{split}/ids"][1][:1])
        found, shape, _ = places[name]
        if found != kind:
            raise RunError(f"{path}: {name} is {found}, expected {kind}", CURE)
        if len(shape) != dimensions or shape[0] != rows or not all(shape):
            raise RunError(
                f"{path}: {name} has the shape {tuple(shape)}, expected {rows} rows in "
                f"{dimensions} dimension{'s' if dimensions > 1 else ''}",
                CURE,
            )
