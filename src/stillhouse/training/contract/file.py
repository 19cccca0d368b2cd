"""The contract of a custom component."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from stillhouse import data
from stillhouse.plugin import Plugin
from stillhouse.training.contract import dataset, declaration, hostile, loss, model, runs
from stillhouse.training.contract.setup import MethodCase
from stillhouse.training.contract.verdict import Verdict, run_checks

METHOD_CHECKS = declaration.CHECKS | loss.CHECKS | hostile.CHECKS | runs.CHECKS


def check_file(file: Plugin, data_root: Path, images: str) -> Iterator[Verdict]:
    """Return a verdict for each check of the file's kind.

    `images` names the dataset that gives a model its classes and image shape. Raises ConfigError if
    there is no such dataset.
    """
    files = (file,)
    match file.kind:
        case "method":
            yield from run_checks(METHOD_CHECKS, MethodCase(file.name, files))
        case "model":
            spec = data.spec(images)
            yield from run_checks(model.CHECKS, model.ModelCase(file.name, files, spec))
        case "dataset":
            yield from run_checks(dataset.CHECKS, dataset.DataCase(file.name, data_root, files))
