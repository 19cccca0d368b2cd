"""A custom dataset: `SPEC`, `load` and optionally `check`. Imports no torch.

`SPEC` is read from the text of the file, because running the file would import torch, which
`status` must not do.
"""

from __future__ import annotations

import ast
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from stillhouse import own
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import ConfigError, DataError

if TYPE_CHECKING:
    from stillhouse.data.base import Dataset


@cache
def spec(file: own.OwnFile) -> DatasetSpec:
    """Return the file's `SPEC`.

    Raises ConfigError unless it is a `DatasetSpec` of literal values with the file's name.
    """
    node = next(node for node in ast.parse(own.source(file)).body if "SPEC" in own.assigned(node))
    try:
        facts = TypeAdapter(DatasetSpec).validate_python(asdict(_made_by(node)))
    except ValidationError as error:
        first = error.errors()[0]
        raise _refused(file, node, f"{first['loc'][0]}: {first['msg']}") from error
    except (TypeError, ValueError) as error:
        raise _refused(file, node, str(error)) from error
    if facts.name != file.name:
        raise _refused(file, node, f"its name is '{facts.name}', but the file is '{file.name}'")
    if not len(facts.mean) == len(facts.std) == facts.channels:
        raise _refused(
            file, node, f"expected a mean and a std for each of {facts.channels} channels"
        )
    return facts


def load(file: own.OwnFile, root: Path) -> Dataset:
    """Return the dataset from the file's `load`. Raises DataError if it returns none."""
    from stillhouse.data.base import Dataset

    with own.blame(file):
        dataset: object = own.load_module(file).load(spec(file), root)
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"{file.path}: load returned a {type(dataset).__name__}, not a dataset",
            "return the result of stillhouse.data.base.make_dataset",
        )
    return dataset


def check(file: own.OwnFile, root: Path) -> None:
    """Call `check(spec, root)` of the file, if it has one."""
    with own.blame(file):
        if ask := getattr(own.load_module(file), "check", None):
            ask(spec(file), root)


def _made_by(node: ast.stmt) -> DatasetSpec:
    call = getattr(node, "value", None)
    if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith("DatasetSpec"):
        raise ValueError("expected DatasetSpec(...)")
    values: list[Any] = [ast.literal_eval(value) for value in call.args]
    return DatasetSpec(*values, **{str(k.arg): ast.literal_eval(k.value) for k in call.keywords})


def _refused(file: own.OwnFile, node: ast.stmt, what: str) -> ConfigError:
    return ConfigError(
        f"{file.path}:{node.lineno}: SPEC: {what}",
        "write SPEC = DatasetSpec(name=..., ...) with literal values: it is read from the text",
    )
