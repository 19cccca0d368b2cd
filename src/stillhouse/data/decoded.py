"""Decoded images: written once, mapped into memory by every process, which share the pages.

They are stored beside the dataset's files, or in the user's cache folder if that folder is
read-only. The file is safetensors; its header has the content hash, and the sizes and times of the
source files, so it is decoded again when those change.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from stillhouse.data.base import Dataset, make_dataset
from stillhouse.data.places import cache_home, stamp_of
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import DataError
from stillhouse.runs.files import sweep, temporary

NAMES = {"TinyImageNet": "tiny-imagenet-200"}
TENSORS = ("train_images", "train_labels", "test_images", "test_labels")
CURE = "remove it; the next load decodes again"


def load(
    spec: DatasetSpec, root: Path, family: Any, log: Callable[[str], None] = lambda text: None
) -> Dataset:
    """Return a dataset whose images are mapped from its decoded file, which is written first if
    needed.

    Opening takes milliseconds: the hash is computed only if the file was changed or copied since it
    was written. If the file cannot be written, the images are in memory and `note` reports that.
    """
    stamp = stamp_of(family.sources(spec, root))
    for path in places(spec, root):
        if stamp and path.exists() and (dataset := _read(spec, path, stamp)):
            return dataset
    family.check(spec, root)
    log(f"{spec.name}: decoding its images, once")
    return _keep(family.load(spec, root), root, stamp)


def check(spec: DatasetSpec, root: Path, family: Any) -> str:
    """Return where the decoded images are, or "". Raises DataError if they are damaged."""
    stamp = stamp_of(family.sources(spec, root))
    for path in places(spec, root):
        if stamp and path.exists() and _read(spec, path, stamp, verify=True):
            return f"decoded in {path}"
    return ""


def places(spec: DatasetSpec, root: Path) -> tuple[Path, Path]:
    """Return the possible paths of the decoded file: beside the dataset, else in the cache."""
    name = f"{NAMES.get(spec.name, spec.name)}.safetensors"
    key = sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return root / name, cache_home() / "decoded" / key / name


def _keep(dataset: Dataset, root: Path, stamp: str) -> Dataset:
    problems = []
    for path in places(dataset.spec, root):
        try:
            _write(dataset, path, stamp)
        except (OSError, SafetensorError) as error:
            problems.append(f"{path.parent}: {error}")
            continue
        if kept := _read(dataset.spec, path, stamp):
            note = f"decoded images are kept in {path} ({problems[0]})" if problems else ""
            return kept.with_note(note)
    return dataset.with_note(
        f"{dataset.spec.name}: every process holds the images in its own memory: decoded "
        f"ones cannot be kept ({'; '.join(problems)})"
    )


def _write(dataset: Dataset, path: Path, stamp: str) -> None:
    """Write the decoded file atomically; its time is in whole seconds, as in its header."""
    train, test = dataset.train, dataset.test
    values = (train.images, train.labels, test.images, test.labels)
    tensors = dict(zip(TENSORS, values, strict=True))
    now = int(time.time())
    facts = {"sha256": dataset.content_hash(), "sources": stamp, "written": str(now)}
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent)
    new = temporary(path)
    try:
        safetensors.torch.save_file(tensors, new, facts)
        new.chmod(0o644)  # only its writer may read a new file, but a data folder may be shared
        with new.open("rb") as file:
            os.fsync(file.fileno())
        os.utime(new, (now, now))
        # On a network file system, do not replace a file that another machine may have mapped.
        if not (path.is_file() and _read(dataset.spec, path, stamp)):
            os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def _read(spec: DatasetSpec, path: Path, stamp: str, verify: bool = False) -> Dataset | None:
    """Return the mapped images, or None if they were decoded from other files."""
    tensors, facts = _mapped(path)
    if facts.get("sources", "[]") != stamp:
        return None
    written = path.stat().st_mtime_ns
    dataset = _dataset(spec, tensors)
    changed = facts.get("written", "") + "0" * 9 != str(written)
    if (verify or changed) and dataset.content_hash() != facts.get("sha256"):
        raise DataError(f"{path} is damaged (its checksum is wrong)", CURE)
    return dataset.with_hash(facts["sha256"])


def mapped(spec: DatasetSpec, path: Path) -> Dataset:
    """Return the dataset whose images are mapped from a file. Raises DataError if it is damaged."""
    return _dataset(spec, _mapped(path)[0])


def _dataset(spec: DatasetSpec, tensors: list[Tensor]) -> Dataset:
    return make_dataset(spec, (tensors[0], tensors[1]), (tensors[2], tensors[3]))


def _mapped(path: Path) -> tuple[list[Tensor], dict[str, str]]:
    """Return the tensors of a file, mapped, and its header. Raises DataError if it is damaged."""
    if not path.is_file():  # a pipe would block
        raise DataError(f"{path} is not a plain file", CURE)
    try:
        with safe_open(path, "pt") as file:
            return [file.get_tensor(name) for name in TENSORS], file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path} is damaged ({error})", CURE) from error
