"""Read a round file: YAML, types, then names and values. Every error is reported at once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stillhouse import data, methods
from stillhouse.config import legacy, networks
from stillhouse.config.diff import changeable
from stillhouse.config.expand import settings, sweep_points
from stillhouse.config.facts import facts
from stillhouse.config.format_1 import MODELS, PARAMETERS
from stillhouse.config.identity import as_written
from stillhouse.config.own_images import ImageSource, measure_mappings
from stillhouse.config.renamed import modernise
from stillhouse.config.schema import (
    FLAT,
    MAX_REAL,
    MIXING,
    ONLY_WITH,
    PURE,
    Distillation,
    Keep,
    Overrides,
    Round,
    Search,
    Training,
)
from stillhouse.config.yaml_file import Source, read_yaml
from stillhouse.data import own_images
from stillhouse.errors import Notice
from stillhouse.fields import Form, Problem, Where, choose, problem, problems
from stillhouse.models.named import NamedNetwork
from stillhouse.plugin import Files, versioned

MAX_RUNS = 100_000
CUSTOM = "; or a custom component, whose file stands under `files:` (docs/custom-components.md)"
FORM = Form(
    {
        (): Round,
        ("datasets",): ImageSource,
        ("training",): Training,
        ("distillation",): Distillation,
        ("keep",): Keep,
        ("search",): Search,
        ("overrides",): Overrides,
        **{(place,): NamedNetwork for place in networks.PLACES},
    },
    field="{}: ...",
    section="{}:",
    characters="use letters, digits, '.', '_' and '-', and begin with a letter or digit",
)


def load_round(path: Path) -> Round:
    """Return the round in a file.

    Raises ConfigError that lists every error with file, line, field, the given value and the
    allowed ones. The values of method parameters need torch: `check_parameters` validates them.
    """
    source = read_yaml(path)
    if found := measure_mappings(source, FORM):
        raise source.error(found)
    _announce_new_names(source, modernise(source.data))
    if found := networks.collect(source.data, path.parent, FORM):
        raise source.error(found)
    try:
        round_ = Round.model_validate(source.data, context={"folder": path.parent})
    except ValidationError as invalid:
        raise source.error(problems(invalid, FORM)) from None
    for check in (
        _files,
        _names,
        _size,
        _override_fields,
        _combinations,
        _mixed_labels,
        _without_effect,
    ):
        if found := list(check(round_)):
            raise source.error(found)
    return round_


def check_parameters(round_: Round, path: Path) -> None:
    """Validate the method parameters that a round sets or sweeps; imports torch if there are any it
    has not validated before.

    Raises ConfigError as `load_round` does, with lines of its file.
    """
    found: dict[Where, Problem] = {}
    for dataset, model, method in product(round_.datasets, round_.students, round_.methods):
        if method == PURE:
            continue
        _, _, parameters = settings(round_, dataset, model, method)
        for point in sweep_points(round_, method):
            chosen = parameters | {k: v for k, v in point.items() if k != "alpha"}
            for one in _parameter_problems(method, round_.files, chosen, set(point)):
                found[one.where] = one
    if found:
        raise read_yaml(path).error(found.values())


def _parameter_problems(
    method: str, files: Files, parameters: dict[str, Any], swept: set[str]
) -> Iterator[Problem]:
    if not parameters:
        return
    known = f"valid {versioned('method', method, files)} {json.dumps(parameters, sort_keys=True)}"
    try:
        facts().get(known, lambda: _valid(method, files, parameters))
    except ValidationError as invalid:
        for details in invalid.errors(include_url=False):
            field = details["loc"][:1]
            within = ("sweep",) if field and field[0] in swept else ("overrides", "methods", method)
            yield problem(details, FORM, (*within, *field))


def _valid(method: str, files: Files, parameters: dict[str, Any]) -> bool:
    methods.load(method, files).Config.model_validate(parameters)
    return True


def _announce_new_names(source: Source, renamed: dict[Where, tuple[str, str]]) -> None:
    """Report in one line the old names in the file, with their lines and their new names."""
    if not renamed:
        return
    lines: dict[tuple[str, str], list[int]] = {}
    for where, names_ in renamed.items():
        lines.setdefault(names_, []).append(source.line(where))
    stood = (
        f"'{old}' (line {', '.join(map(str, sorted(at)))}) is now '{new}'"
        for (old, new), at in lines.items()
    )
    warnings.warn(f"{source.path}: {'; '.join(stood)}; both names work", Notice, stacklevel=3)


def _files(round_: Round) -> Iterator[Problem]:
    """Return the errors of custom components whose names are taken.

    A network or method that was added later takes no name: a file that had it keeps it.
    """
    taken = dict.fromkeys([*data.names(), *MODELS, *PARAMETERS], "built in")
    for index, file in enumerate(round_.files):
        if file.name in taken:
            yield _taken(round_, index, taken[file.name])
        taken.setdefault(file.name, str(file.path))


def _taken(round_: Round, index: int, why: str) -> Problem:
    file = round_.files[index]
    if file.name in round_.datasets and own_images.is_facts(file):
        where = ("datasets", round_.datasets.index(file.name))
        return Problem(where, f"the name '{file.name}' is taken: {why}", "choose another name")
    what = f"the name '{file.name}' of {file.path} is taken: {why}"
    cure = "rename the file: the file name without .py is the name"
    return Problem(("files", index), what, cure)


def _names(round_: Round) -> Iterator[Problem]:
    """Return unknown datasets, models, methods, sweep axes, legacy and changes keys."""
    files = round_.files
    for field, known in (
        ("datasets", data.names),
        ("methods", methods.names),
    ):
        for index, name in enumerate(getattr(round_, field)):
            yield from _unknown((field, index), name, known(files), CUSTOM)
    for field in ("teachers", "students") if round_.teachers else ("students",):
        for index, name in enumerate(getattr(round_, field)):
            yield from networks.unknown((field, index), name, round_, CUSTOM)
    if not round_.teachers:
        yield from networks.unknown(("teacher",), round_.teacher, round_, CUSTOM)
    for key in round_.legacy:
        yield from _unknown(("legacy", key), key, legacy.keys(files))
    for key in round_.changes:
        yield from _unknown(("changes", key), key.split(" (")[0], changeable(round_))
    for field, reachable in round_.trained.items():
        for name in getattr(round_.overrides, field):
            if name not in reachable:
                why = f"given '{name}', which this round does not train"
                yield Problem(("overrides", field, name), why, choose(name, reachable))


def _unknown(where: Where, name: str, known: list[str], more: str = "") -> Iterator[Problem]:
    if name not in known:
        yield Problem(where, f"given '{name}'", choose(name, known) + more)


def _size(round_: Round) -> Iterator[Problem]:
    """Return an error for a matrix with too many runs, as long sweep axes give."""
    points = 0
    for method in round_.methods:
        own = (
            () if method == PURE else ("alpha", *methods.declared(method, round_.files).parameters)
        )
        taught = methods.declared(method, round_.files).taught_by == "teacher"
        found = prod(len(values) for axis, values in round_.sweep.items() if axis in own)
        points += found * (len(round_.all_teachers) if taught else 1)
    runs = points * len(round_.datasets) * len(round_.students) * len(round_.seeds)
    if runs > MAX_RUNS:
        where: Where = ("sweep",) if round_.sweep else ("seeds",)
        yield Problem(where, f"the round has {runs:,} runs", f"expected at most {MAX_RUNS:,}")


def _override_fields(round_: Round) -> Iterator[Problem]:
    """Return override keys that name no field, invalid values, and invalid sweep axes."""
    for field in ("datasets", "models", "methods"):
        for name, section in getattr(round_.overrides, field).items():
            own = methods.declared(name, round_.files).parameters if field == "methods" else ()
            for key, value in section.items():
                where = ("overrides", field, name, key)
                if key in FLAT:
                    yield from _field_problems(where, key, value)
                elif key not in own:
                    yield _unknown_field(where, key, own, round_)
                elif isinstance(value, int | float) and abs(value) > MAX_REAL:
                    yield Problem(where, f"given {value:g}", f"expected at most {MAX_REAL:g}")
                elif isinstance(value, int) and abs(value) >= 2**63:
                    yield Problem(where, f"given {value}", f"expected at most {2**63 - 1:,}")
    yield from _axes(round_)


def _unknown_field(where: Where, key: str, own: Iterable[str], round_: Round) -> Problem:
    """Return the error for an unknown key, also if a method's parameters cannot be read."""
    method, hint = str(where[2]), choose(key, [*FLAT, *own])
    known = where[1] == "methods" and method in methods.names(round_.files)
    if known and (base := methods.declared(method, round_.files).unread):
        hint = (
            f"the parameters of {method} from {base} cannot be read from the file's text: write "
            f"them in a Config of its own; {hint}"
        )
    return Problem(where, "unknown field", hint)


def _field_problems(where: Where, key: str, value: Any) -> Iterator[Problem]:
    model = Training if key in Training.model_fields else Distillation
    try:
        model.model_validate({key: value})
    except ValidationError as invalid:
        for details in invalid.errors(include_url=False):
            # Without a location it concerns several fields: `_combinations` checks them together.
            if details["loc"]:
                yield problem(details, FORM, (*where, *details["loc"][1:]))


def _axes(round_: Round) -> Iterator[Problem]:
    distilling = [method for method in round_.methods if method != PURE]
    own = (p for method in distilling for p in methods.declared(method, round_.files).parameters)
    allowed = ["alpha", *dict.fromkeys(own)]
    for axis, values in round_.sweep.items():
        where = ("sweep", axis)
        if axis not in allowed:
            yield Problem(where, "not an axis of this round's methods", choose(axis, allowed))
        if len({f"{value:g}" for value in values}) < len(values):
            yield Problem(where, f"a value occurs twice: {list(values)}", "list each value once")
        if axis == "alpha":
            for index, value in enumerate(values):
                yield from _field_problems((*where, index), "alpha", value)


def _combinations(round_: Round) -> Iterator[Problem]:
    """Return errors that appear only after the overrides are applied."""
    seen = set()
    reach = round_.trained
    for dataset, model, method in product(*(reach[k] for k in ("datasets", "models", "methods"))):
        training, distillation, _ = settings(round_, dataset, model, method)
        try:
            Training.model_validate(training)
        except ValidationError as invalid:
            for details in invalid.errors(include_url=False):
                found = problem(details, FORM, ("overrides",))
                if found.what not in seen:
                    what = f"for {method} of {model} on {dataset}: {found.what}"
                    yield Problem(found.where, what)
                seen.add(found.what)
        if method != PURE and distillation["total"] == "reference" and "alpha" not in seen:
            if "alpha" in round_.sweep:
                where: Where = ("sweep", "alpha")
            elif distillation["alpha"] is not None:
                where = ("distillation", "alpha")
            else:
                continue
            seen.add("alpha")
            yield Problem(
                where,
                f"has no effect on {method}: its total is `reference`, the published one",
                "set `total: convex` or `total: additive` under `distillation:`",
            )


def _mixed_labels(round_: Round) -> Iterator[Problem]:
    """Return methods that cannot be trained on images mixed of two, where the recipe mixes them."""
    reach = round_.trained
    refused = [m for m in reach["methods"] if not methods.declared(m, round_.files).mixed_images]
    arms = product(reach["datasets"], reach["models"], refused)
    mixing = {arm[2] for arm in arms if {*settings(round_, *arm)[0]["augmentation"]} & {*MIXING}}
    if mixing:
        names = ", ".join(method for method in refused if method in mixing)
        custom = any(file.name in mixing for file in round_.files)
        yield Problem(
            ("training", "augmentation"),
            f"mixup and cutmix give an image two labels, which cannot be used by {names}",
            "leave these methods out, or set an augmentation without them under overrides.methods"
            + ("; docs/custom-components.md says when `mixed_images = True` fits" * custom),
        )


def _without_effect(round_: Round) -> Iterator[Problem]:
    """Return fields of the recipe that were set, but no run uses (see `ONLY_WITH`).

    `crop_padding` may stand without `pad_crop`: earlier round files have it so.
    """
    reach = round_.trained
    arms = product(*(reach[kind] for kind in ("datasets", "models", "methods")))
    recipes = {Training(**settings(round_, *arm)[0]) for arm in arms}
    for field, (other, values) in ONLY_WITH.items():
        default = Training.model_fields[field].default
        if field == "crop_padding" or any(recipe.uses(field) for recipe in recipes):
            continue
        for where, value in _written(round_, field):
            if value != default:
                what = f"given {as_written(value)}, which has no effect on any run"
                yield Problem((*where, field), what, f"it needs {other}: {' or '.join(values)}")


def _written(round_: Round, field: str) -> Iterator[tuple[Where, Any]]:
    """Return every value of a field of the recipe in a round file, with its section."""
    yield ("training",), getattr(round_.training, field)
    for kind in ("datasets", "models", "methods"):
        for name, section in getattr(round_.overrides, kind).items():
            if field in section:
                yield ("overrides", kind, name), section[field]
