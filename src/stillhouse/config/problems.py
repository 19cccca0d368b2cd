"""Collect the errors of a round file into one, with file, line, field and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from stillhouse.config.schema import Distillation, Overrides, Round, Training
from stillhouse.config.yaml_file import Source, Where
from stillhouse.errors import ConfigError

Models = Mapping[Where, type[BaseModel]]
MODELS: Models = {
    (): Round,
    ("training",): Training,
    ("distillation",): Distillation,
    ("overrides",): Overrides,
}
EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text (in quotes if it reads as a number, true or null)",
    "bool_type": "true or false",
    "tuple_type": "a list such as [a, b], or [] for none",
    "dict_type": "fields, one per line and indented",
    "mapping_type": "fields, one per line and indented",
    "model_type": "fields, one per line and indented",
    "date_from_datetime_parsing": "a date such as 2026-02-20",
    "date_parsing": "a date such as 2026-02-20",
    "date_type": "a date such as 2026-02-20",
}


@dataclass(frozen=True)
class Problem:
    """One error: its place (a path of keys), what is wrong, the remedy."""

    where: Where
    what: str
    cure: str = ""

    @property
    def field(self) -> str:
        """Return the dotted field, as in `training.epochs` or `seeds[1]`."""
        text = ""
        for part in self.where:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
        return text.lstrip(".")


def error(source: Source, problems: Iterable[Problem]) -> ConfigError:
    """Return all problems as one ConfigError, in the order of their lines."""
    ordered = sorted(problems, key=lambda problem: source.line(problem.where))
    lines = [
        f"{source.path}:{source.line(p.where)}: " + (f"{p.field}: " if p.field else "") + p.what
        for p in ordered
    ]
    if len(ordered) == 1:
        return ConfigError(lines[0], ordered[0].cure)
    listed = [
        f"  {line}" + (f" ({p.cure})" if p.cure else "")
        for line, p in zip(lines, ordered, strict=True)
    ]
    return ConfigError("\n".join([f"{source.path}: {len(ordered)} problems", *listed]))


def choose(given: object, allowed: Iterable[str]) -> str:
    """Return the remedy for a word that is not in `allowed`: the nearest one and the list."""
    allowed = list(allowed)
    near = get_close_matches(str(given), allowed, n=1, cutoff=0.5)
    return (f"did you mean '{near[0]}'? " if near else "") + f"allowed: {', '.join(allowed)}"


def show(value: Any) -> str:
    """Return a given value, shortened for a message."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def from_pydantic(
    details: ErrorDetails, where: Where | None = None, models: Models = MODELS
) -> Problem:
    """Return one pydantic error in words; `where` replaces its location."""
    own = tuple(details["loc"])
    where = own if where is None else where
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(where, models)
    if kind == "missing":
        return Problem(where, "this field is missing", f"add `{where[-1]}: ...`")
    if kind == "literal_error":
        allowed = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return Problem(where, f"given {show(given)}", choose(given, allowed))
    if kind == "own_file":
        return Problem(where, context["what"], context["cure"])
    if kind == "value_error":
        return Problem(where, details["msg"].removeprefix("Value error, "))
    if kind == "string_pattern_mismatch":
        cure = "use letters, digits, '.', '_' and '-', and begin with a letter or digit"
        return Problem(where, f"given {show(given)}", cure)
    if kind in ("string_too_long", "too_long"):
        size, most = len(given), context["max_length"]
        unit = "characters" if kind == "string_too_long" else "entries"
        return Problem(where, f"given {size:,} {unit}", f"expected at most {most:,}")
    if kind == "less_than_equal":
        most = context["le"]
        return Problem(where, f"given {show(given)}", f"expected at most {most:,}")
    fallback = details["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return Problem(where, f"given {show(given)}", f"expected {EXPECTED.get(kind, fallback)}")


def _unknown_field(where: Where, models: Models) -> Problem:
    name = str(where[-1])
    section = tuple(part for part in where[:-1] if isinstance(part, str))
    homes = [
        ".".join(map(str, path))
        for path, model in models.items()
        if path and path != section and name in model.model_fields
    ]
    if homes:
        home = f"{homes[0]}:" if models is MODELS else f"[{homes[0]}]"
        return Problem(where, "unknown field here", f"it belongs under `{home}`")
    return Problem(where, "unknown field", choose(name, models[section].model_fields))
