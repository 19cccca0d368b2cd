"""Own images in a round file: `datasets: [{name: flowers, folder: ./flowers, size: 64}]`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from stillhouse.config.schema import Fraction, Positive, Seed, Strict
from stillhouse.config.yaml_file import Source
from stillhouse.data import own_images
from stillhouse.errors import DataError
from stillhouse.fields import Form, Problem, problem

MAX_SIZE = 4096
NAME = r"^[A-Za-z][A-Za-z0-9_]{0,99}$"


class ImageSource(Strict):
    """A folder of images or an .npz file, and what is made of its images."""

    name: Annotated[str, Field(pattern=NAME)]
    folder: str | None = None
    npz: str | None = None
    size: Annotated[Positive, Field(le=MAX_SIZE)] | None = None
    channels: Literal[1, 3] | None = None
    label: Annotated[str, Field(max_length=100)] = ""
    test_fraction: Annotated[Fraction, Field(gt=0)] = own_images.FRACTION
    split_seed: Seed = own_images.SEED

    @model_validator(mode="after")
    def _consistent(self) -> ImageSource:
        if (self.folder is None) == (self.npz is None):
            raise ValueError("expected one of `folder: ...` and `npz: ...`")
        return self


def measure_mappings(source: Source, form: Form) -> list[Problem]:
    """Replace the mappings in `datasets` by their names, and add their facts to `files`.

    Images that were not measured before are decoded now. Returns what is wrong.
    """
    given, found = source.data.get("datasets"), list[Problem]()
    if not isinstance(given, list):
        return []
    for index, entry in enumerate(given):
        if not isinstance(entry, dict):
            continue
        try:
            wanted = ImageSource.model_validate(entry)
            facts = own_images.measured(_absolute(wanted, source.path.parent), source.path.parent)
        except ValidationError as invalid:
            found += [
                problem(one, form, ("datasets", index, *one["loc"]))
                for one in invalid.errors(include_url=False)
            ]
        except DataError as error:
            found.append(Problem(("datasets", index), error.message, error.hint))
        else:
            given[index] = wanted.name
            _add(source.data, facts)
    return found


def _absolute(wanted: ImageSource, beside: Path) -> own_images.OwnImages:
    path = Path(os.path.abspath(beside / (wanted.folder or wanted.npz or "")))
    options: dict[str, Any] = wanted.model_dump(exclude={"folder", "npz"})
    return own_images.OwnImages(path=path, **options)


def _add(data: dict[str, Any], facts: object) -> None:
    files = data.setdefault("files", [])
    if isinstance(files, list):
        files.append(facts)
