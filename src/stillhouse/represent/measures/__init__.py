"""Measures of representations and predictions, one small file each; `REGISTRY` finds them all."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from stillhouse.represent.measures.base import Measure, Value
from stillhouse.represent.measures.batch import compare
from stillhouse.represent.measures.inputs import Pair, Predictions, Representation

__all__ = [
    "REGISTRY",
    "Measure",
    "Pair",
    "Predictions",
    "Representation",
    "Value",
    "compare",
    "of_kind",
]


def _found() -> dict[str, Measure]:
    """Every measure that a module of this package declares in `MEASURES`, by name."""
    measures: dict[str, Measure] = {}
    for module in sorted(iter_modules(__path__), key=lambda module: module.name):
        declared = getattr(import_module(f"{__name__}.{module.name}"), "MEASURES", ())
        for measure in declared:
            assert measure.name not in measures, measure.name
            measures[measure.name] = measure
    return measures


REGISTRY = _found()


def of_kind(kind: str) -> list[Measure]:
    """The measures of a kind that are in the default set."""
    return [one for one in REGISTRY.values() if one.kind == kind and one.default]
