"""A folder of images or an .npz file as a dataset: measured once, kept decoded. No torch.

What is measured (classes, counts, mean, standard deviation, the SHA-256 of the decoded images) is
written as JSON to NAME.json, which is the dataset's custom component: its hash is part of a run's
identity. It stands in `folders/<start of its hash>/` of the data folder, beside the decoded images.
`folders/index/` tells which of these an unchanged folder of images became.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from stillhouse import plugin
from stillhouse.data import image_files
from stillhouse.data.places import cache_home, data_root, stamp_of
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import DataError, Notice, one_line, some
from stillhouse.fields import first_fault
from stillhouse.plugin import Plugin
from stillhouse.runs.files import sweep, temporary, write_atomic

if TYPE_CHECKING:
    from stillhouse.data.base import Dataset
    from stillhouse.data.pixels import Pixels

FORMAT, FACTS, IMAGES, VERIFIED = 1, ".json", "images.safetensors", "verified"
FRACTION, SEED = 0.2, 0
HASH_DIGITS = 16
SMALL, LARGE = 32, 64  # pixels per side
SHOWN = 5


@dataclass(frozen=True)
class OwnImages:
    """What a round file says of a folder of images or an .npz file; the path is absolute."""

    name: str
    path: Path
    size: int | None = None
    channels: int | None = None
    label: str = ""
    test_fraction: float = FRACTION
    split_seed: int = SEED

    @property
    def key(self) -> str:
        """Return a hash of the path and all options."""
        told = {name: str(value) for name, value in asdict(self).items()}
        told["path"] = str(self.path.resolve())
        return sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:HASH_DIGITS]


def is_facts(file: Plugin) -> bool:
    """Return whether a custom component is a file of measured facts."""
    return file.path.suffix == FACTS


def measured(source: OwnImages, beside: Path) -> Plugin:
    """Return the facts of images, measuring and decoding them unless that was done before.

    A copy of the facts in `components/` of the folder `beside`, as an archive has it, counts more
    than the images; where these are gone, what was measured before is used. Raises DataError for
    images that cannot be used.
    """
    copy = _plugin(beside / "components" / f"{source.name}{FACTS}")
    if not source.path.exists():
        return copy or _without_images(source)
    now = _with_images(source)
    if copy is None or copy.sha256 == now.sha256:
        return now
    text = f"{source.name}: {source.path} holds other images than those of {copy.path}"
    warnings.warn(text, Notice, stacklevel=2)
    return copy


def homes(root: Path | None = None) -> list[Path]:
    """Return the folders that may hold measured images: of the data folder, then of the cache."""
    roots = [root or data_root(), data_root(), cache_home() / "data"]
    return list(dict.fromkeys(one / "folders" for one in roots))


def spec(file: Plugin) -> DatasetSpec:
    """Return the facts of measured images. Raises DataError for a damaged file."""
    found = facts(file)
    values = {**found.get("spec", {}), "name": file.name, "note": found.get("note", "")}
    try:
        return TypeAdapter(DatasetSpec).validate_python(values)
    except ValidationError as error:
        raise DataError(f"{file.path}: {first_fault(error, 'spec')}", "restore it") from None


def facts(file: Plugin) -> dict[str, Any]:
    """Return all that was measured, as it is written. Raises DataError for a damaged file."""
    try:
        found = json.loads(plugin.source(file))
    except ValueError as error:
        raise DataError(f"{file.path} is damaged ({one_line(error)})", "restore it") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise DataError(f"{file.path}: expected facts of images with format {FORMAT}")
    return found


def load(file: Plugin, root: Path) -> Dataset:
    """Return the dataset, with its images mapped from the decoded file.

    Their hash is computed only if the file was copied or changed since it was written. Raises
    DataError if the decoded images are not on this machine, or damaged.
    """
    from stillhouse.data import decoded

    path = _decoded(file, root)
    expected, here = facts(file)["images"], stamp_of([path])
    verified = path.with_name(VERIFIED)
    known = verified.is_file() and verified.read_text(encoding="utf-8", errors="replace") == here
    dataset = decoded.mapped(spec(file), path)
    if not known:
        if dataset.content_hash() != expected:
            raise DataError(f"{path} is damaged (its checksum is wrong)", decoded.CURE)
        _keep_verified(verified, here)
    return dataset.with_hash(expected)


def check(file: Plugin, root: Path) -> str:
    """Return where the decoded images are. Raises DataError if they are not on this machine."""
    return f"decoded in {_decoded(file, root)}"


def remembered(file: Plugin, measure: Callable[[], DatasetSpec]) -> DatasetSpec:
    """Return the facts of a custom component's images, measured at its first use on this machine.

    They are kept under the hash of the file, so a changed file is measured again.
    """
    name = f"{file.name}-{file.sha256[:HASH_DIGITS]}{FACTS}"
    for home in homes():
        try:
            content = (home / name).read_bytes()
            return TypeAdapter(DatasetSpec).validate_json(content)
        except (OSError, ValidationError):  # there are none, or they are no use
            continue
    found = measure()
    for home in homes():
        try:
            home.mkdir(parents=True, exist_ok=True)
            write_atomic(home / name, TypeAdapter(DatasetSpec).dump_json(found))
            break
        except OSError:  # the next folder, or measured again at the next start
            continue
    return found


def sentence(spec: DatasetSpec) -> str:
    """Say what a dataset holds: `10 classes; 1,442 training and 355 test images; grey`."""
    own = spec.validation_images
    counts = f"{spec.train_images - own:,} training"
    counts += f", {own:,} validation" if own else ""
    colour = "grey" if spec.channels == 1 else "colour"
    return f"{spec.classes} classes; {counts} and {spec.test_images:,} test images; {colour}"


def suggested_size(path: Path) -> int:
    """Return the side of images that are squares of one size up to 64; else 32 or 64 by their size.

    Raises DataError for images that cannot be used.
    """
    from stillhouse.data import image_folder, npz

    if path.is_dir():
        paths = [one for one, _, _ in image_files.walk(path)[0]]
        sizes = image_folder.sizes(image_files.listing(path, paths, FRACTION, SEED))
    else:
        sizes = npz.sizes(path)
    sides = sorted(min(one) for one in sizes.elements())
    usual = sides[len(sides) // 2]
    square = len(sizes) == 1 and len(set(*sizes)) == 1
    if usual < SMALL or (square and usual <= LARGE):
        return usual
    return LARGE if usual >= LARGE else SMALL


def _decoded(file: Plugin, root: Path) -> Path:
    places = [home / file.sha256[:HASH_DIGITS] / IMAGES for home in homes(root)]
    if path := next((path for path in places if path.is_file()), None):
        return path
    raise DataError(
        f"{file.name}: its decoded images are not on this machine, looked for "
        + ", ".join(map(str, places)),
        "put the images where the round file says, and repeat the command; or copy the folder "
        f"{places[0].parent.name} from {places[0].parent.parent} of the machine that decoded them",
    )


def _keep_verified(path: Path, text: str) -> None:
    try:
        write_atomic(path, text.encode())
    except OSError:  # a read-only data folder: the hash is computed at every start
        return


def _with_images(source: OwnImages) -> Plugin:
    found, others = _files(source)
    stamp = image_files.stamp(found)
    for home in homes():
        if known := _indexed(home, source, stamp):
            return known
    return _measure(source, found, others, stamp)


def _files(source: OwnImages) -> tuple[list[image_files.Found], list[str]]:
    """Return the image files, or the .npz file itself, with sizes and times; other files."""
    if source.path.is_dir():
        return image_files.walk(source.path)
    facts = source.path.stat()
    return [(source.path.name, facts.st_size, facts.st_mtime_ns)], []


def _indexed(home: Path, source: OwnImages, stamp: str | None) -> Plugin | None:
    """Return the facts that these images became in an earlier measurement, if all is there."""
    index = home / "index" / f"{source.key}.json"
    try:
        noted = json.loads(index.read_text(encoding="utf-8"))
        path = home / noted["facts"][:HASH_DIGITS] / f"{source.name}{FACTS}"
        if stamp not in (None, noted["stamp"]) or not path.with_name(IMAGES).is_file():
            return None
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is no use
        return None
    found = _plugin(path)
    return found if found and found.sha256 == noted["facts"] else None


def _plugin(path: Path) -> Plugin | None:
    """Return the custom component in a file of facts, if there is one."""
    if not path.is_file():
        return None
    return Plugin(path.absolute(), sha256(path.read_bytes()).hexdigest(), "dataset")


def _without_images(source: OwnImages) -> Plugin:
    for home in homes():
        if known := _indexed(home, source, None):
            text = f"{source.name}: {source.path} is gone; what was measured of it before is used"
            warnings.warn(text, Notice, stacklevel=2)
            return known
    raise DataError(f"there is no {source.path}", "paths are relative to the round file")


def _measure(
    source: OwnImages, found: list[image_files.Found], others: Iterable[str], stamp: str
) -> Plugin:
    """Decode all images beside the data, and write what was measured."""
    from stillhouse.data import image_folder, npz  # numpy and Pillow only if needed

    others = list(others)
    if others:
        text = f"{source.name}: left out, as no image: {some(others, SHOWN)}"
        warnings.warn(text, Notice, stacklevel=2)
    if source.path.is_dir():
        paths = [path for path, _, _ in found]
        what = f"{len(paths):,} images"
        listed = image_files.listing(source.path, paths, source.test_fraction, source.split_seed)
        images = image_folder.pixels(listed, source.size, source.channels)
    else:
        what = "the images"
        images = npz.pixels(source.path, source.size, source.channels)
    images.refuse_gaps(source.path)
    warnings.warn(f"{source.name}: decoding {what} of {source.path}, once", Notice, stacklevel=2)
    problems = []
    for home in homes():
        try:
            return _written(source, images, home, stamp)
        except OSError as error:
            problems.append(f"{home}: {one_line(error)}")
    raise DataError(
        f"{source.name}: its decoded images cannot be kept ({'; '.join(problems)})",
        "set STILLHOUSE_DATA to a folder that can be written and has room",
    )


def _written(source: OwnImages, images: Pixels, home: Path, stamp: str) -> Plugin:
    from stillhouse.data.pixels import write

    home.mkdir(parents=True, exist_ok=True)
    sweep(home)
    new = temporary(home / source.name)
    new.mkdir()
    try:
        found = write(images, new / IMAGES)
        content = json.dumps(_facts(source, images, found), indent=1).encode()
        (new / f"{source.name}{FACTS}").write_bytes(content)
        digest = sha256(content).hexdigest()
        target = home / digest[:HASH_DIGITS]
        (new / VERIFIED).write_text(stamp_of([new / IMAGES]), encoding="utf-8")
        if not target.is_dir():
            os.replace(new, target)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    (home / "index").mkdir(exist_ok=True)
    noted = {"format": FORMAT, "stamp": stamp, "facts": digest, "from": str(source.path)}
    write_atomic(home / "index" / f"{source.key}.json", json.dumps(noted).encode())
    return Plugin(target / f"{source.name}{FACTS}", digest, "dataset")


def _facts(source: OwnImages, images: Pixels, found: dict[str, Any]) -> dict[str, Any]:
    counts = {part: len(values) for part, values in images.labels.items()}
    if not all(found["std"]):
        raise DataError(f"{source.path}: all pixels of a channel of the images are equal")
    test = images.labels["test"]
    commonest = int(max(sum(test == label) for label in range(len(images.classes))))
    note = f"Test images are {images.test_is}." if images.test_is else ""
    if images.resized:
        size = f"{images.size} x {images.size}"
        note += (
            " " * bool(note)
            + f"The centred square of {images.resized:,} images was resized to {size}."
        )
    return {
        "format": FORMAT,
        "spec": {
            "label": source.label or source.name,
            "classes": len(images.classes),
            "channels": images.channels,
            "size": images.size,
            "train_images": counts["train"] + counts["validation"],
            "test_images": counts["test"],
            "commonest": commonest,
            "mean": found["mean"],
            "std": found["std"],
            "validation_images": counts["validation"],
        },
        "class_names": images.classes,
        "images": found["images"],
        "note": note,
    }
