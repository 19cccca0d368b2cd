"""Renamed datasets, models and methods, and aliases: all their names work in round files.

A run keeps its folder, so its path may contain an old name. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal

from stillhouse import models
from stillhouse.models.named import label_of
from stillhouse.runs.folder import RunFolder

Kind = Literal["dataset", "model", "method"]
NEW_NAMES: dict[str, dict[str, str]] = {
    "dataset": {},
    "model": {},
    "method": {"null": "ce_scaled"},
}
MIN_PARTS = 4  # of a run's path: dataset, method, networks, seed
LISTS: dict[str, Kind] = {
    "datasets": "dataset",
    "teachers": "model",
    "students": "model",
    "methods": "method",
}
SECTIONS: dict[str, Kind] = {"datasets": "dataset", "models": "model", "methods": "method"}


def current(kind: str, name: str) -> str:
    """Return today's name of a dataset, model or method once called `name`."""
    return NEW_NAMES.get(kind, {}).get(name, name)


def canonical(kind: str, name: str) -> str:
    """The name under which runs are kept of what an alias or an old name stands for."""
    aliased = models.ALIASES.get(name, label_of(name)) if kind == "model" else name
    return current(kind, aliased)


def first(kind: str, name: str) -> str:
    """Return the oldest name of what is called `name` today."""
    return spellings(kind, name)[-1]


def spellings(kind: str, name: str) -> list[str]:
    """Return all names of what is called `name` today, today's first."""
    return [name, *(old for old, new in NEW_NAMES[kind].items() if new == name)]


def modernise(data: dict[str, Any]) -> dict[tuple[str | int, ...], tuple[str, str]]:
    """Replace old names in a round file's data; return where an old name was, old and new.

    Aliases are replaced too, but not returned; custom components come before them.
    """
    found: dict[tuple[str | int, ...], tuple[str, str]] = {}
    _replace_aliases(data)
    for key, kind in LISTS.items():
        if isinstance(data.get(key), list):
            data[key] = [_new(kind, name, (key, i), found) for i, name in enumerate(data[key])]
    if "teacher" in data:
        data["teacher"] = _new("model", data["teacher"], ("teacher",), found)
    if isinstance(data.get("legacy"), dict):
        data["legacy"] = _new_keys("method", data["legacy"], ("legacy",), found)
    if isinstance(overrides := data.get("overrides"), dict):
        for key, kind in SECTIONS.items():
            if isinstance(overrides.get(key), dict):
                overrides[key] = _new_keys(kind, overrides[key], ("overrides", key), found)
    return found


def _replace_aliases(data: dict[str, Any]) -> None:
    files = data.get("files") if isinstance(data.get("files"), list) else []
    own = {Path(file).stem for file in files or () if isinstance(file, str)}

    def name(given: Any) -> Any:
        alias = isinstance(given, str) and given not in own
        return models.ALIASES.get(given, label_of(given)) if alias else given

    if "teacher" in data:
        data["teacher"] = name(data["teacher"])
    for field in ("teachers", "students"):
        if isinstance(data.get(field), list):
            data[field] = [name(given) for given in data[field]]
    overrides = data.get("overrides")
    if isinstance(overrides, dict) and isinstance(overrides.get("models"), dict):
        overrides["models"] = {name(key): value for key, value in overrides["models"].items()}


def modernise_config(config: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration of a recorded run, with today's names."""
    out = dict(config)
    for kind in NEW_NAMES:
        if isinstance(out.get(kind), str):
            out[kind] = current(kind, out[kind])
    if isinstance(teacher := out.get("teacher"), dict) and isinstance(teacher.get("model"), str):
        out["teacher"] = {**teacher, "model": current("model", teacher["model"])}
    return out


def written_paths(path: str) -> Iterator[str]:
    """Return the paths at which a run may have been written, today's first."""
    parts = path.split("/")
    renamed = {new for names in NEW_NAMES.values() for new in names.values()}
    if len(parts) < MIN_PARTS or renamed.isdisjoint([*parts, *parts[-2].split("_to_")]):
        yield path
        return
    dataset, method, *axes, networks, seed = parts
    names = [spellings("model", name) for name in networks.split("_to_")]
    kinds = (spellings("dataset", dataset), spellings("method", method), product(*names))
    for one_dataset, one_method, pair in product(*kinds):
        yield "/".join((one_dataset, one_method, *axes, "_to_".join(pair), seed))


def current_path(path: str) -> str:
    """Return today's path of a run written to `path`; any other text unchanged."""
    parts = path.split("/")
    if len(parts) < MIN_PARTS:
        return path
    dataset, method, *axes, networks, seed = parts
    models = "_to_".join(current("model", name) for name in networks.split("_to_"))
    return "/".join((current("dataset", dataset), current("method", method), *axes, models, seed))


def folder_of(experiments: Path, path: str) -> RunFolder:
    """Return a run's folder: the existing one with an old name, else that of today's name."""
    paths = [experiments / one for one in written_paths(path)]
    if len(paths) == 1:
        return RunFolder(paths[0])
    return RunFolder(next((one for one in paths if one.is_dir()), paths[0]))


def _new(kind: Kind, name: Any, where: tuple[str | int, ...], found: Any) -> Any:
    if not isinstance(name, str) or current(kind, name) == name:
        return name
    found[where] = (name, current(kind, name))
    return current(kind, name)


def _new_keys(
    kind: Kind, section: dict[str, Any], where: tuple[str | int, ...], found: Any
) -> dict[str, Any]:
    return {_new(kind, key, (*where, key), found): value for key, value in section.items()}
