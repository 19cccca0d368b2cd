"""Validate the scripts' JSON files; a field of another type is left out and reported."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

from stillhouse.exchange.scripts.logs import MAX_EPOCHS, Record

SERIES = ("train_loss", "train_acc", "test_loss", "test_acc")
HIGHEST = 100.0
MAX_FIELDS, MAX_LENGTH, MAX_NESTING = 1000, 1000, 8
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 80
PLAIN = f"finite numbers and text, {MAX_LENGTH:,} characters at most"
WORDS = {"None": "null", "True": "true", "False": "false"}


def status(found: Record, problems: list[str]) -> Record:
    """Return the fields of a `status.json` that have the right type."""
    kinds: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "status": ("a text", lambda value: isinstance(value, str) and _plain(value)),
        "epoch": (f"a whole number up to {MAX_EPOCHS:,}", _count),
        "max_acc": ("a percentage", _percentage),
        "config": ("an object", lambda value: isinstance(value, dict)),
    }
    return _config(_kept("status.json", found, kinds, problems), "status.json", problems)


def metrics(found: Record, problems: list[str]) -> Record | None:
    """Return a `metrics.json` whose four series are numbers, else None."""
    for name in SERIES:
        series = found.get(name)
        if not isinstance(series, list) or not series or not all(map(_number, series)):
            problems.append(f"metrics.json: {name} is not a list of numbers: not used")
            return None
        if len(series) > MAX_EPOCHS:
            problems.append(
                f"metrics.json: {name} has {len(series):,} epochs, "
                f"expected at most {MAX_EPOCHS:,}: not used"
            )
            return None
        if name.endswith("_acc") and not all(map(_percentage, series)):
            problems.append(f"metrics.json: {name} has values that are not percentages: not used")
            return None
    if len({len(found[name]) for name in SERIES}) > 1:
        problems.append("metrics.json: its series differ in length; the rest is left out")
    config = {"config": found["config"]} if "config" in found else {}
    kinds = {"config": ("an object", lambda value: isinstance(value, dict))}
    config = _config(_kept("metrics.json", config, kinds, problems), "metrics.json", problems)
    return {**{name: found[name] for name in SERIES}, **config}


def settings(where: str, found: Record, problems: list[str]) -> Record:
    """Return a run's settings without invalid or too large numbers."""
    kinds = {
        "alpha": ("a number", _rate),
        "temperature": ("a number above 0", lambda value: _rate(value) and value > 0),
    }
    return _kept(where, found, kinds, problems)


def _config(found: Record, file: str, problems: list[str]) -> Record:
    """Return the same with its settings cleaned."""
    if "config" not in found:
        return found
    return {**found, "config": settings(f"{file}: config", found["config"], problems)}


def _kept(
    file: str,
    found: Record,
    kinds: Mapping[str, tuple[str, Callable[[Any], bool]]],
    problems: list[str],
) -> Record:
    """Return the fields with the right type; an unlisted field may be any short value."""
    if len(found) > MAX_FIELDS:
        problems.append(f"{file}: {len(found):,} fields, expected at most {MAX_FIELDS:,}: not used")
        return {}
    kept = {}
    for name, value in found.items():
        expected, fits = kinds.get(name, (PLAIN, _plain))
        if _plain(name) and isinstance(name, str) and fits(value):
            kept[name] = value
        else:
            shown = SHORT.repr(value)
            field = name if name in kinds else SHORT.repr(name).strip("'")
            problems.append(
                f"{file}: {field} is {WORDS.get(shown, shown)}, expected {expected}: not used"
            )
    return kept


def _plain(value: Any) -> bool:
    """Return whether a value is short enough for `run.json`."""
    return _simple(value, MAX_NESTING) and len(json.dumps(value)) <= MAX_LENGTH


def _simple(value: Any, levels: int) -> bool:
    """Return whether a value is valid JSON with limited nesting."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, int | float):
        return _number(value) and math.isfinite(value)
    if isinstance(value, list | tuple):
        return levels > 0 and all(_simple(one, levels - 1) for one in value)
    return (
        isinstance(value, dict)
        and levels > 0
        and all(isinstance(key, str) and _simple(key, 0) for key in value)
        and all(_simple(one, levels - 1) for one in value.values())
    )


def _number(value: Any) -> bool:
    """Return whether a value is a number that fits a float, NaN and infinity included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return isinstance(value, float) or abs(value) < 2**63


def _rate(value: Any) -> bool:
    return _number(value) and 0 <= value < math.inf


def _count(value: Any) -> bool:
    return _number(value) and 0 <= value <= MAX_EPOCHS and float(value).is_integer()


def _percentage(value: Any) -> bool:
    return _number(value) and 0 <= value <= HIGHEST
