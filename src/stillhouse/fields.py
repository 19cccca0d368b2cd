"""What is wrong with a field of a user's file or of a record: fault and remedy in plain words.

All validation errors of pydantic are translated here: for round and site files, whose fields have
lines, and for records.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stillhouse.errors import listed, nearest

Where = tuple[str | int, ...]
SHOWN = 60
SECTION = "fields, one per line and indented"
DATE = "a date such as 2026-02-20"
EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_type": "text (in quotes if it reads as a number, true or null)",
    "bool_type": "true or false",
    "tuple_type": "a list such as [a, b], or [] for none",
    "dict_type": SECTION,
    "mapping_type": SECTION,
    "model_type": SECTION,
    "date_from_datetime_parsing": DATE,
    "date_parsing": DATE,
    "date_type": DATE,
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = SHOWN


@dataclass(frozen=True)
class Form:
    """How a kind of file is written.

    `models` are its sections by their place, `field` and `section` how a field and a section's
    head are written, `characters` the remedy for a name with others than are allowed.
    """

    models: Mapping[Where, type[BaseModel]]
    field: str
    section: str
    characters: str


RECORD = Form({}, "{}: ...", "{}:", "expected other characters")


@dataclass(frozen=True)
class Problem:
    """One mistake: where it is (a path of keys), what it is, the remedy."""

    where: Where
    what: str
    cure: str = ""

    @property
    def field(self) -> str:
        """The dotted field, as in `training.epochs` or `seeds[1]`."""
        text = ""
        for part in self.where:
            text += f"[{part}]" if isinstance(part, int) else f".{part}"
        return text.lstrip(".")


def problems(invalid: ValidationError, form: Form) -> list[Problem]:
    """Return every mistake that pydantic found in a file of a form."""
    return [problem(details, form) for details in invalid.errors(include_url=False)]


def first_fault(invalid: ValidationError, *above: str) -> str:
    """Return the first mistake in a record, as in `the field 'epoch': given 'x', expected ...`.

    `above` is the place of the validated value in its file.
    """
    details = invalid.errors(include_url=False)[0]
    found = problem(details, RECORD, (*above, *details["loc"]))
    if details["type"] == "missing":
        return f"the field '{found.field}' is missing"
    what = ", ".join(filter(None, (found.what, found.cure)))
    return f"the field '{found.field}': {what}" if found.field else what


def choose(given: object, allowed: Iterable[str]) -> str:
    """Return the remedy for a word that is not in `allowed`: the nearest one and the list."""
    allowed = list(allowed)
    return f"{nearest(str(given), allowed)}allowed: {listed(str(given), allowed)}"


def show(value: Any) -> str:
    """Return a given value, short enough for a message."""
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    text = _SHORT.repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def problem(details: ErrorDetails, form: Form, where: Where | None = None) -> Problem:
    """Return one pydantic error in plain words; `where` replaces its own location."""
    where = tuple(details["loc"]) if where is None else where
    kind, given, context = details["type"], details["input"], details.get("ctx", {})
    shown = f"given {show(given)}"
    match kind:
        case "extra_forbidden" if form.models:
            return _unknown_field(where, form)
        case "missing":
            return Problem(where, "this field is missing", f"add `{form.field.format(where[-1])}`")
        case "literal_error":
            allowed = context["expected"].replace(" or ", ", ").replace("'", "").split(", ")
            return Problem(where, shown, choose(given, allowed))
        case "own_file":
            return Problem(where, context["what"], context["cure"])
        case "value_error":
            return Problem(where, details["msg"].removeprefix("Value error, "))
        case "string_pattern_mismatch":
            return Problem(where, shown, form.characters)
        case "string_too_long" | "too_long":
            unit = "characters" if kind == "string_too_long" else "entries"
            what = f"given {len(given):,} {unit}"
            return Problem(where, what, f"expected at most {context['max_length']:,}")
        case "less_than_equal":
            return Problem(where, shown, f"expected at most {context['le']:,}")
    fallback = details["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return Problem(where, shown, f"expected {EXPECTED.get(kind, fallback)}")


def _unknown_field(where: Where, form: Form) -> Problem:
    name = str(where[-1])
    section = tuple(part for part in where[:-1] if isinstance(part, str))
    homes = [
        ".".join(map(str, path))
        for path, model in form.models.items()
        if path and path != section and name in model.model_fields
    ]
    if homes:
        home = form.section.format(homes[0])
        return Problem(where, "unknown field here", f"it belongs under `{home}`")
    fields = form.models[section].model_fields.items()
    return Problem(
        where, "unknown field", choose(name, [info.alias or key for key, info in fields])
    )
