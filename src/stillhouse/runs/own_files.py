"""Copies of custom components beside the runs they trained; a hash cannot restore a file.

experiments/own_files/f30c170c61fd7375/own_method.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stillhouse.own import Files, OwnFile, source
from stillhouse.runs.files import write_once

SHOWN_DIGITS = 16


def keep(files: Files, experiments: Path) -> None:
    """Copy each file once. Raises RunError if one has changed since it was read."""
    for file in files:
        copy = _copy(file, experiments)
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_once(copy, source(file))


def kept(files: Files, experiments: Path) -> Files:
    """Return the files with the paths of their copies; the originals may have changed."""
    return tuple(replace(file, path=_copy(file, experiments)) for file in files)


def _copy(file: OwnFile, experiments: Path) -> Path:
    return experiments / "own_files" / file.sha256[:SHOWN_DIGITS] / file.path.name
