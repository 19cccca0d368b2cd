"""Differences between two rounds, with the reasons that the newer round gives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stillhouse import methods
from stillhouse.config import legacy
from stillhouse.config.identity import FILE_DIGITS, as_written, flatten
from stillhouse.config.schema import FLAT, Distillation, Round, Training
from stillhouse.errors import ConfigError
from stillhouse.models.named import find, label_of
from stillhouse.tables import Table

MATRIX = (
    "files",
    "datasets",
    "teacher",
    "students",
    "methods",
    "seeds",
    "teacher_seeds",
    "teachers_from",
)
LABELS = {"alpha": "loss weight alpha"}
UNKNOWN = "unknown"
NETWORK = "network"
TEXTS: dict[str, dict[str | None, str]] = {
    "teacher_seeds": {None: "the student's"},
    "teachers_from": {None: "trained here"},
    "alpha": {None: "—"},
    "train_images": {None: "all"},
    "total": {
        "reference": "each method's published total",
        "convex": "(1 - alpha) * CE + alpha * w * L",
        "additive": "CE + alpha / (1 - alpha) * w * L",
    },
}


@dataclass(frozen=True)
class _Row:
    """A parameter that differs between the rounds; `changes` names it by `field` or `label`."""

    field: str
    label: str
    a: str
    b: str


def diff_rounds(a: Round, b: Round) -> Table:
    """Return the table "What Changed From A": Parameter, A, B, Rationale.

    Rationales are those of `b.changes`, used if `b` compares to `a` or names no round. Raises
    ConfigError if one of them matches no difference.
    """
    rows = list(_rows(a, b))
    changes = b.changes if b.compares_to in (None, a.round) else {}
    _all_used(changes, rows, a, b)
    notes = []
    if b.changes and not changes:
        notes.append(f"{b.round} gives its reasons relative to {b.compares_to}: none shown.")
    return Table(
        title=f"What Changed From {_heading(a)}",
        columns=("Parameter", _heading(a), _heading(b), "Rationale"),
        rows=tuple(
            (row.label, row.a, row.b, changes.get(row.label, changes.get(row.field)))
            for row in rows
        ),
        notes=tuple(notes),
        empty="no setting differs",
        stacked=True,
    )


def reasons_that_fit(a: Round, b: Round) -> dict[str, str]:
    """Return those of `b.changes` that match a difference between the rounds."""
    names = {name for row in _rows(a, b) for name in (row.field, row.label)}
    return {key: reason for key, reason in b.changes.items() if key in names}


def recipe_differences(a: Round, b: Round) -> list[tuple[str, str, str]]:
    """Return the settings of the recipe in which two rounds differ: name, in A, in B.

    The recipe is the training and the distillation settings with their overrides, not the matrix.
    """
    return [(row.label, row.a, row.b) for row in _rows(a, b) if row.field not in MATRIX]


def changeable(round_: Round) -> list[str]:
    """Return the possible keys of `changes`, without the `(name)` of an override."""
    files = round_.files
    known = [method for method in round_.methods if method in methods.names(files)]
    own = (
        parameter for method in known for parameter in methods.declared(method, files).parameters
    )
    return list(dict.fromkeys([*MATRIX, NETWORK, *FLAT, "sweep", *own, *legacy.keys(files)]))


def _rows(a: Round, b: Round) -> Iterator[_Row]:
    for field in MATRIX:
        yield from _row(field, LABELS.get(field, field), _given(a, field), _given(b, field))
    for field in FLAT:
        yield from _row(field, LABELS.get(field, field), _base(a, field), _base(b, field))
    yield from _override_rows(a, b)
    yield from _network_rows(a, b)
    for axis in dict.fromkeys([*a.sweep, *b.sweep]):
        label = f"sweep ({LABELS.get(axis, axis)})"
        yield from _row("sweep", label, a.sweep.get(axis), b.sweep.get(axis))
    for key in dict.fromkeys([*a.legacy, *b.legacy]):
        yield from _row(key, key, legacy.practice(a, key), legacy.practice(b, key))


def _given(round_: Round, field: str) -> Any:
    return round_.all_teachers if field == "teacher" else getattr(round_, field)


def _override_rows(a: Round, b: Round) -> Iterator[_Row]:
    """Return the overrides in effect for names that both rounds train."""
    reach_a, reach_b = a.trained, b.trained
    for kind in ("datasets", "models", "methods"):
        left, right = getattr(a.overrides, kind), getattr(b.overrides, kind)
        for name in dict.fromkeys([*left, *right]):
            if name not in reach_a[kind] or name not in reach_b[kind]:
                continue
            for field in dict.fromkeys([*left.get(name, {}), *right.get(name, {})]):
                values = (
                    section.get(name, {}).get(field, _base(round_, field))
                    for round_, section in ((a, left), (b, right))
                )
                yield from _row(field, f"{LABELS.get(field, field)} ({name})", *values)


def _network_rows(a: Round, b: Round) -> Iterator[_Row]:
    """Return the options of networks that both rounds name alike but build or load differently."""
    names = [dict.fromkeys([*round_.all_teachers, *round_.students]) for round_ in (a, b)]
    for name in (name for name in names[0] if name in names[1]):
        yield from _row(NETWORK, f"{NETWORK} ({name})", _options(a, name), _options(b, name))


def _options(round_: Round, name: str) -> str:
    network = find(name, round_.networks)
    given = network.counted() if network else {}
    if network and not network.train:
        given["train"] = False
    if "sha256" in given:
        given["weights"] = given.pop("sha256")[:FILE_DIGITS]
    if network and label_of(network.name) == name:
        del given["name"]
    options = [f"{key} {as_written(value)}" for key, value in flatten(given)]
    return ", ".join(options) or "no options"


def _base(round_: Round, field: str) -> Any:
    """Return the value without overrides; None for a method's parameter (its default)."""
    if round_.imported and field in round_.imported.unknown:
        return UNKNOWN
    if field in Training.model_fields:
        return getattr(round_.training, field)
    return getattr(round_.distillation, field) if field in Distillation.model_fields else None


def _row(field: str, label: str, a: Any, b: Any) -> Iterator[_Row]:
    texts = _text(field, a), _text(field, b)
    if texts[0] != texts[1]:
        yield _Row(field, label, *texts)


def _text(field: str, value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_text(field, item) for item in value) or "none"
    if value is None or isinstance(value, str):
        return TEXTS.get(field, {}).get(value, "default" if value is None else value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _heading(round_: Round) -> str:
    return round_.round[:1].upper() + round_.round[1:]


def _all_used(changes: dict[str, str], rows: list[_Row], a: Round, b: Round) -> None:
    usable = {row.label for row in rows} | {row.field for row in rows}
    unused = [key for key in changes if key not in usable]
    if unused:
        differ = ", ".join(dict.fromkeys(row.field for row in rows)) or "nothing"
        raise ConfigError(
            f"round {b.round}: changes gives a reason for {', '.join(unused)}, "
            f"which equals that of round {a.round}",
            f"remove it or correct its name; what differs: {differ}",
        )
