"""What the scripts' JSON files may hold; a field of another kind is left out, and said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from stillhouse.importing.logs import Record

SERIES = ("train_loss", "train_acc", "test_loss", "test_acc")
HIGHEST = 100.0


def status(found: Record, problems: list[str]) -> Record:
    """The fields of a `status.json` that are of their kind."""
    kinds: dict[str, tuple[str, Callable[[Any], bool]]] = {
        "status": ("a text", lambda value: isinstance(value, str)),
        "epoch": ("a whole number", _count),
        "max_acc": ("a percentage", _percentage),
        "config": ("an object", lambda value: isinstance(value, dict)),
    }
    return _config(_kept("status.json", found, kinds, problems), "status.json", problems)


def metrics(found: Record, problems: list[str]) -> Record | None:
    """A `metrics.json` whose four series are numbers, else None."""
    for name in SERIES:
        series = found.get(name)
        if not isinstance(series, list) or not series or not all(map(_number, series)):
            problems.append(f"metrics.json: {name} is not a list of numbers: not used")
            return None
        if name.endswith("_acc") and not all(map(_percentage, series)):
            problems.append(f"metrics.json: {name} has values that are no percentage: not used")
            return None
    if len({len(found[name]) for name in SERIES}) > 1:
        problems.append("metrics.json: its series differ in length; the rest is left out")
    kinds = {"config": ("an object", lambda value: isinstance(value, dict))}
    return _config(_kept("metrics.json", found, kinds, problems), "metrics.json", problems)


def settings(where: str, found: Record, problems: list[str]) -> Record:
    """A run's settings without those that must be numbers and are none."""
    kinds = dict.fromkeys(("alpha", "temperature"), ("a number", _rate))
    return _kept(where, found, kinds, problems)


def _config(found: Record, file: str, problems: list[str]) -> Record:
    """The same with its settings cleaned."""
    if "config" not in found:
        return found
    return {**found, "config": settings(f"{file}: config", found["config"], problems)}


def _kept(
    file: str,
    found: Record,
    kinds: Mapping[str, tuple[str, Callable[[Any], bool]]],
    problems: list[str],
) -> Record:
    wrong = {name for name, (_, fits) in kinds.items() if name in found and not fits(found[name])}
    problems += [
        f"{file}: {name} is {found[name]!r}, expected {kinds[name][0]}: not used"
        for name in kinds
        if name in wrong
    ]
    return {name: value for name, value in found.items() if name not in wrong}


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _rate(value: Any) -> bool:
    return _number(value) and 0 <= value < float("inf")


def _count(value: Any) -> bool:
    return _number(value) and value >= 0 and float(value).is_integer()


def _percentage(value: Any) -> bool:
    return _number(value) and 0 <= value <= HIGHEST
