"""Copies of the user's own files beside the runs they trained; a hash alone brings none back.

experiments/own_files/f30c170c61fd7375/own_method.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stillhouse.own import Files, OwnFile, source
from stillhouse.runs.files import write_once

SHOWN_DIGITS = 16


def keep(files: Files, experiments: Path) -> None:
    """Copy each file once. Raises RunError if one is no longer what it was when it was read."""
    for file in files:
        copy = _copy(file, experiments)
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_once(copy, source(file))


def kept(files: Files, experiments: Path) -> Files:
    """The same files where their copies are, for the originals may have changed since."""
    return tuple(replace(file, path=_copy(file, experiments)) for file in files)


def _copy(file: OwnFile, experiments: Path) -> Path:
    return experiments / "own_files" / file.sha256[:SHOWN_DIGITS] / file.path.name
