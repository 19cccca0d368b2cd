"""Networks of a round file with options: `{name: timm/resnet18, stem: small}`. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stillhouse import models
from stillhouse.config.renamed import canonical
from stillhouse.config.schema import Round
from stillhouse.fields import Form, Problem, Where, choose, problem
from stillhouse.models.named import NamedNetwork, find, label_of, split, suggested

PLACES = ("teacher", "teachers", "students")


def collect(data: dict[str, Any], folder: Path, form: Form) -> list[Problem]:
    """Move the options of networks in a round file's data to `networks`; return what is wrong.

    In their places stay the names by which folders and tables call them. The first of `teachers`
    becomes the `teacher`.
    """
    found: list[Problem] = []
    networks: dict[str, NamedNetwork] = {}
    plain: dict[str, Where] = {}
    for place in PLACES:
        several = isinstance(data.get(place), list)
        given = data[place] if several else [data[place]] if place in data else []
        for index, value in enumerate(given):
            where: Where = (place, index) if several else (place,)
            if isinstance(value, dict):
                network = _network(value, where, folder, form, found)
                given[index] = value = network.label if network else str(value.get("name"))
                if network and not network.plain and networks.setdefault(value, network) != network:
                    found.append(_twice(where, value))
                if network and not network.plain:
                    continue
            if isinstance(value, str):
                plain.setdefault(value, where)
        if given and not several:
            data[place] = given[0]
    for label, where in plain.items():
        if label in networks:
            found.append(_twice(where, label))
    found += _teachers(data)
    if "networks" in data:
        found.append(
            Problem(
                ("networks",),
                "unknown field",
                "options stand where a network is named: `teacher: {name: ...}`",
            )
        )
    if networks:
        data["networks"] = tuple(networks.values())
    return found


def _network(
    value: dict[str, Any],
    where: Where,
    folder: Path,
    form: Form,
    found: list[Problem],
) -> NamedNetwork | None:
    """Return a network with options; append what is wrong to `found`."""
    name = value.get("name")
    if isinstance(name, str) and split(name) is None:
        value = {**value, "name": canonical("model", name)}
    try:
        network = NamedNetwork.model_validate(value, context={"folder": folder})
    except ValidationError as invalid:
        for details in invalid.errors(include_url=False):
            found.append(problem(details, form, (*where, *details["loc"])))
        return None
    if not network.train and where[0] == "students":
        found.append(Problem((*where, "train"), "a student is trained", "leave `train` out"))
    if not network.train and network.weights is None:
        cure = "add `weights: FILE`, or leave `train` out"
        found.append(Problem((*where, "train"), "given false without weights", cure))
    return network


def _twice(where: Where, label: str) -> Problem:
    return Problem(
        where,
        f"'{label}' stands for two networks with different options",
        "give one of them another name, as in {name: ..., as: small_resnet18}",
    )


def _teachers(data: dict[str, Any]) -> Iterator[Problem]:
    several = data.get("teachers")
    if several is None:
        return
    if "teacher" in data:
        yield Problem(("teacher",), "given beside `teachers`", "list it among `teachers`")
    elif isinstance(several, list) and several and isinstance(several[0], str):
        data["teacher"] = several[0]
    elif isinstance(several, list):
        yield Problem(("teachers",), "given no network", "expected a list such as [ResNet56]")


def unknown(where: Where, name: str, round_: Round, more: str) -> Iterator[Problem]:
    """Return the error for a network that is neither built in, custom, nor a library's."""
    network = find(name, round_.networks)
    bare = network.name if network else name
    known = models.names(round_.files)
    if network and network.label != label_of(bare) and network.label in known:
        what = f"the name '{network.label}' is taken by another network"
        yield Problem((*where, "as"), what, "choose another one")
    if split(bare):
        if near := suggested(bare):
            yield Problem(where, f"given '{bare}'", f"networks of that library: {', '.join(near)}")
    elif bare not in known:
        yield Problem(
            where, f"given '{bare}'", f"{choose(bare, known)}; or {models.BY_LIBRARY}{more}"
        )
