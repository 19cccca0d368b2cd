"""`teachers_from` as a pattern of weight files, one per dataset, network and seed."""

from __future__ import annotations

import re
from pathlib import PurePath
from string import Formatter

SUFFIXES = (".safetensors", ".pth", ".pt", ".tar")
ADOPTED = "adopted"  # the folder of imported teachers below `experiments/`
FROZEN = "weights"  # the source of a teacher whose network has `weights` and `train: false`
SEED_FORM = r"(0?[1-9])?d?"  # up to nine digits
MAX_CHARACTERS, MAX_BYTES = 1000, 255  # what file systems take
FIELDS = ("dataset", "model", "seed")


def is_pattern(source: str) -> bool:
    """Return whether a `teachers_from` names files rather than a round."""
    return PurePath(source).suffix in SUFFIXES


def from_file(source: str | None) -> bool:
    """Return whether a teacher's weights come from a file, not from a round."""
    return source == FROZEN or is_pattern(source or "")


def fill(pattern: str, dataset: str, model: str, seed: int) -> str:
    """Return the file of one teacher: `w/{dataset}/{seed}.pth` -> `w/Cifar10/0.pth`."""
    return pattern.format(dataset=dataset, model=model, seed=seed)


def check_source(source: str) -> str:
    """Raise ValueError for a `teachers_from` that is neither a round nor files."""
    if not source or not source.isprintable():
        raise ValueError(f"given {source[:60]!r}, expected a round, a folder or a pattern of files")
    if len(source) > MAX_CHARACTERS:
        raise ValueError(f"given {len(source)} characters, expected at most {MAX_CHARACTERS}")
    if any(len(part.encode()) > MAX_BYTES for part in PurePath(source).parts):
        raise ValueError(f"a file or folder has more than {MAX_BYTES} bytes in its name")
    if is_pattern(source):
        check_fields(source, FIELDS)
    return source


def check_fields(pattern: str, allowed: tuple[str, ...]) -> None:
    """Raise ValueError if a pattern has other fields than `FIELDS`, or other formats."""
    try:
        fields = [one[1:] for one in Formatter().parse(pattern) if one[1] is not None]
    except ValueError as error:
        raise ValueError(f"'{pattern}' is not a pattern: {error}") from error
    for field, form, conversion in fields:
        if field not in allowed:
            known = ", ".join(f"{{{field}}}" for field in allowed)
            raise ValueError(f"has {{{field}}}: expected {known}")
        if conversion or not re.fullmatch(SEED_FORM if field == "seed" else "", form or ""):
            text = field + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            form = (
                "{seed} or, with leading zeros, {seed:03d}" if field == "seed" else f"{{{field}}}"
            )
            raise ValueError(f"has {{{text}}}: expected {form}")
