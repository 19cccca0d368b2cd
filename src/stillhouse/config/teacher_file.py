"""`teachers_from` as a pattern of the user's weight files, one per dataset, network and seed."""

from __future__ import annotations

from pathlib import PurePath
from string import Formatter

SUFFIXES = (".safetensors", ".pth", ".pt")
FIELDS = ("dataset", "model", "seed")


def is_pattern(source: str) -> bool:
    """Whether a `teachers_from` names files rather than a round."""
    return PurePath(source).suffix in SUFFIXES


def fill(pattern: str, dataset: str, model: str, seed: int) -> str:
    """The file of one teacher: `w/{dataset}/{seed}.pth` -> `w/Cifar10/0.pth`."""
    return pattern.format(dataset=dataset, model=model, seed=seed)


def check_pattern(pattern: str) -> None:
    """Raise ValueError if a pattern has other fields than `FIELDS`."""
    try:
        fields = [field for _, field, _, _ in Formatter().parse(pattern) if field is not None]
    except ValueError as error:
        raise ValueError(f"teachers_from '{pattern}' is not a pattern: {error}") from error
    unknown = [field for field in fields if field not in FIELDS]
    if unknown:
        known = ", ".join(f"{{{field}}}" for field in FIELDS)
        raise ValueError(f"teachers_from has {{{unknown[0]}}}: expected {known}")
