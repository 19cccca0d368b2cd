"""The image files below a folder: which parts and classes they make. Opens none of them.

Classes are the names of folders, sorted. Below `train/` and `test/` (or `val/`) every folder is a
class; without these names the folders are the classes, and a part of each is taken for testing.
Files and folders whose names begin with a dot are left out.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Literal

from stillhouse.errors import DataError, some

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
SUFFIXES = frozenset(
    (
        *(".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm"),
        *(".png", ".ppm", ".tif", ".tiff", ".webp"),
    )
)
ROLES = {"train": "train", "test": "test"} | dict.fromkeys(
    ("val", "valid", "validation"), "validation"
)
FORMS = (
    "expected train/ and test/ (or val/) with one folder per class below each, or one folder per "
    "class"
)
SHOWN = 10
Found = tuple[str, int, int]  # path below the folder, with slashes; bytes; time in ns


@dataclass(frozen=True)
class Listing:
    """The image files of a folder, before any was opened: (path below the folder, label)."""

    folder: Path
    classes: tuple[str, ...]
    files: dict[Part, list[tuple[str, int]]]
    test_is: str

    def paths(self) -> list[str]:
        """Return the paths of all files, in the order in which they are numbered."""
        return [path for part in PARTS for path, _ in self.files[part]]


@dataclass
class _Walk:
    """The files met below a folder."""

    images: list[Found] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def walk(folder: Path) -> tuple[list[Found], list[str]]:
    """Return all images below a folder, sorted by path, and the paths of all other files.

    Raises DataError for links that lead nowhere or in a circle.
    """
    met = _Walk()
    _walk(folder, "", met, ())
    if met.broken:
        raise DataError(
            f"{folder} has {len(met.broken)} links that lead nowhere: {some(met.broken, SHOWN)}",
            "remove or mend them",
        )
    return sorted(met.images), sorted(met.others)


def stamp(images: list[Found]) -> str:
    """Return one hash of the names, sizes and times of images."""
    lines = "\n".join(f"{path}/{size}/{time}" for path, size, time in images)
    return sha256(os.fsencode(lines)).hexdigest()


def listing(folder: Path, paths: list[str], fraction: float, seed: int) -> Listing:
    """Divide sorted paths below a folder into parts and classes. Raises DataError for other forms.

    Without `train/` each class gives about `fraction` of its images to the test set: those whose
    SHA-256 of seed and path is smallest, so an image that is added moves few others.
    """
    tops = sorted({path.partition("/")[0] for path in paths if "/" in path})
    roles = {name: ROLES[name.lower()] for name in tops if name.lower() in ROLES}
    if not paths:
        raise DataError(f"{folder} holds no images ({' '.join(sorted(SUFFIXES))})", FORMS)
    if not roles:
        return _divided(folder, paths, fraction, seed)
    _refuse_roles(folder, roles, tops)
    named = {role: name for name, role in roles.items()}
    if "test" not in named:  # as ImageNet has it
        named["test"] = named.pop("validation")
    inside = {
        part: [path for path in paths if path.startswith(f"{named[part]}/")]
        if part in named
        else []
        for part in PARTS
    }
    classes = _classes(folder, inside["train"], 1)
    files: dict[Part, list[tuple[str, int]]] = {}
    labels = {name: label for label, name in enumerate(classes)}
    for part in PARTS:
        if strange := [name for name in _classes(folder, inside[part], 1) if name not in labels]:
            raise DataError(
                f"{folder / named[part]} has the class {strange[0]}, which "
                f"{folder / named['train']} has not",
                "both need the same folders",
            )
        files[part] = [(path, labels[path.split("/")[1]]) for path in inside[part]]
    unusual = "" if ROLES[named["test"].lower()] == "test" else f"those in {named['test']}/"
    return Listing(folder, tuple(classes), files, unusual)


def _walk(folder: Path, below: str, met: _Walk, above: tuple[tuple[int, int], ...]) -> None:
    """Add what is below a folder; `above` are the folders that lead to it, by device and inode."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = f"{below}{entry.name}"
            if entry.name.startswith("."):
                continue
            try:
                facts = entry.stat()
            except OSError:
                met.broken.append(path)
                continue
            if entry.is_dir():
                here = (facts.st_dev, facts.st_ino)
                if here in above:
                    met.broken.append(path)
                else:
                    _walk(Path(entry.path), f"{path}/", met, (*above, here))
            elif entry.is_file() and os.path.splitext(entry.name)[1].lower() in SUFFIXES:
                met.images.append((path, facts.st_size, facts.st_mtime_ns))
            else:
                met.others.append(path)


def _refuse_roles(folder: Path, roles: dict[str, str], tops: list[str]) -> None:
    if len({*roles.values()}) < len(roles):
        raise DataError(f"{folder} has two folders for one part: {', '.join(sorted(roles))}", FORMS)
    if "train" not in roles.values() or len(roles) == 1:
        raise DataError(f"{folder} has {', '.join(f'{name}/' for name in roles)} only", FORMS)
    if more := [name for name in tops if name not in roles]:
        raise DataError(f"{folder} has {more[0]}/ beside {', '.join(roles)}", FORMS)


def _classes(folder: Path, paths: list[str], depth: int) -> list[str]:
    """Return the sorted names of the folders at a depth. Raises DataError for images above it."""
    for path in paths:
        if path.count("/") <= depth:
            raise DataError(f"{folder / path} is in no folder of a class", FORMS)
    return sorted({path.split("/")[depth] for path in paths})


def _divided(folder: Path, paths: list[str], fraction: float, seed: int) -> Listing:
    classes = _classes(folder, paths, 0)
    files: dict[Part, list[tuple[str, int]]] = {part: [] for part in PARTS}
    for label, name in enumerate(classes):
        own = [path for path in paths if path.startswith(f"{name}/")]
        if len(own) < 2:
            raise DataError(
                f"{folder / name} has one image", "a class needs two, one of them for the test set"
            )
        count = min(max(round(len(own) * fraction), 1), len(own) - 1)
        drawn = sorted(own, key=lambda path: sha256(os.fsencode(f"{seed}/{path}")).digest())
        chosen = {*drawn[:count]}
        files["test"] += [(path, label) for path in own if path in chosen]
        files["train"] += [(path, label) for path in own if path not in chosen]
    how = f"{fraction:.0%} of the images of each class, drawn with split_seed {seed}"
    return Listing(folder, tuple(classes), files, how)
