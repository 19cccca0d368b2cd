"""The datasets that a round can name. Importing this package does not import torch.

One module per family holds `load`, `fetch`, `check` and, unless its images come with a package,
`sources`, the files they are decoded from. Only `fetch` uses the network. A custom component holds
`SPEC`, `load` and optionally `check`; or it is a file of facts (see `own_images`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from http.client import HTTPException
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse import plugin
from stillhouse.data import own_images
from stillhouse.data.places import data_root, fetch_command
from stillhouse.data.specs import SPECS, DatasetSpec
from stillhouse.errors import DataError, unknown_name
from stillhouse.plugin import Files, Plugin

if TYPE_CHECKING:
    from stillhouse.data.base import Dataset

__all__ = ["DatasetSpec", "check", "data_root", "decode", "fetch", "load", "names", "spec"]

FAMILIES = {
    "Cifar10": "cifar",
    "Cifar100": "cifar",
    "SVHN": "svhn",
    "TinyImageNet": "tiny_imagenet",
    "FashionMNIST": "fashion_mnist",
    "Digits": "digits",
}
PACKAGES = {
    "Cifar10": {"torchvision.datasets": "torchvision"},
    "Cifar100": {"torchvision.datasets": "torchvision"},
    "SVHN": {"torchvision.datasets": "torchvision", "scipy.io": "scipy"},
    "TinyImageNet": {"torchvision.datasets": "torchvision", "PIL.Image": "pillow"},
    "FashionMNIST": {"torchvision.datasets": "torchvision"},
    "Digits": {"sklearn.datasets": "scikit-learn"},
}


def names(files: Files = ()) -> list[str]:
    """Return the names of all datasets; custom ones from `files` come last."""
    return [*SPECS, *plugin.names("dataset", files)]


def spec(name: str, files: Files = ()) -> DatasetSpec:
    """Return the facts of a dataset without loading it.

    Raises ConfigError for an unknown name or an invalid `SPEC` of a custom component.
    """
    if file := plugin.find("dataset", name, files):
        return _own_spec(file)
    if name not in SPECS:
        raise unknown_name("dataset", name, names(files))
    return SPECS[name]


def load(name: str, root: Path, files: Files = ()) -> Dataset:
    """Load a dataset; never downloads. Raises DataError as `check` does."""
    facts = spec(name, files)
    if file := plugin.find("dataset", name, files):
        return _load_own(file, root)
    _require_packages(name)
    family = _family(name)
    if hasattr(family, "sources"):
        from stillhouse.data import decoded

        return decoded.load(facts, root, family)
    dataset: Dataset = family.load(facts, root)
    return dataset


def decode(name: str, root: Path, files: Files, log: Callable[[str], None]) -> None:
    """Write the decoded images that processes share, unless already present or never kept."""
    if plugin.find("dataset", name, files) or not hasattr(family := _family(name), "sources"):
        return
    from stillhouse.data import decoded

    decoded.load(spec(name), root, family, log)


def fetch(name: str, root: Path) -> None:
    """Download a dataset below `root`, unless already present. Raises DataError on failure."""
    facts = spec(name)
    _require_packages(name)
    try:
        _family(name).fetch(facts, root)
    except (OSError, RuntimeError, HTTPException) as error:
        raise DataError(
            f"{name}: could not be fetched into {root} ({error})",
            f"repeat `{fetch_command(name, root)}`; on a machine without a network, copy the "
            "data folder of a machine that has it and give it as --data-root",
        ) from error
    check(name, root)


def check(name: str, root: Path, files: Files = ()) -> str:
    """Return in words what was found. Raises DataError with the remedy if `load` would fail.

    Compares the published checksums of the files, if any, and the checksum of the decoded images,
    if present; unpacks and decodes nothing.
    """
    facts = spec(name, files)
    if file := plugin.find("dataset", name, files):
        if own_images.is_facts(file):
            return own_images.check(file, root)
        _check_own(file, facts, root)
        return f"read by {file.path}"
    _require_packages(name)
    family = _family(name)
    found = [family.check(facts, root)]
    if hasattr(family, "sources"):
        from stillhouse.data import decoded

        found.append(decoded.check(facts, root, family))
    return "; ".join(filter(None, found))


def _family(name: str) -> Any:
    return import_module(f"stillhouse.data.{FAMILIES[name]}")


def _require_packages(name: str) -> None:
    # Import it instead of looking for it: an installed but broken package would fail the job too.
    for module, package in PACKAGES[name].items():
        try:
            import_module(module)
        except ImportError as error:
            raise DataError(
                f"{name}: needs the package {package}, which does not import ({error})",
                f"pip install {package}",
                "missing-module",
            ) from error


@cache
def _own_spec(file: Plugin) -> DatasetSpec:
    """Read a custom dataset's `SPEC` from the text: running the file would import torch.

    Facts that it leaves out are measured once, and kept in the data folder. Raises ConfigError
    unless it is a `DatasetSpec` of literal values with the file's name.
    """
    if own_images.is_facts(file):
        return own_images.spec(file)

    def fault(facts: DatasetSpec) -> str:
        if facts.name != file.name:
            return f"its name is '{facts.name}', but the file is '{file.name}'"
        if facts.missing:
            return ""
        if not len(facts.mean) == len(facts.std) == facts.channels:
            return f"expected a mean and a std for each of {facts.channels} channels"
        return ""

    declared = plugin.declared_value(file, "SPEC", DatasetSpec, fault)
    if not declared.missing:
        return declared
    return own_images.remembered(file, lambda: _loaded(file, declared, data_root()).spec)


def _load_own(file: Plugin, root: Path) -> Dataset:
    if own_images.is_facts(file):
        return own_images.load(file, root)
    return _loaded(file, _own_spec(file), root)


def _loaded(file: Plugin, facts: DatasetSpec, root: Path) -> Dataset:
    """Return the dataset from the file's `load`. Raises DataError if it returns none."""
    from stillhouse.data.base import Dataset

    _check_own(file, facts, root)
    with plugin.blame(file):
        dataset: object = plugin.load_module(file).load(facts, root)
    if not isinstance(dataset, Dataset):
        raise DataError(
            f"{file.path}: load returned a {type(dataset).__name__}, not a dataset",
            "return the result of stillhouse.data.base.make_dataset",
        )
    return dataset


def _check_own(file: Plugin, facts: DatasetSpec, root: Path) -> None:
    """Call `check(spec, root)` of the file, if it has one."""
    with plugin.blame(file):
        if ask := getattr(plugin.load_module(file), "check", None):
            ask(facts, root)
