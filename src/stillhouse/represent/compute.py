"""Every measure of the networks of one arm: the rows of `measures.csv` and `pairs.csv`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from stillhouse.represent.matrix import Kind, Unit, same_layers
from stillhouse.represent.measures import (
    REGISTRY,
    Measure,
    Pair,
    Predictions,
    Representation,
    compare,
)
from stillhouse.represent.store import Representations, read

Row = dict[str, Any]
LOGITS = "logits"
PERMUTATION_SEED = 0


@dataclass(frozen=True)
class Task:
    """A unit with the files it reads: picklable, so that another process can compute it.

    `stores` are files of representations by network, `teachers` and `pure` whose logits a
    network's are compared with, its own teacher first; `measures` are names of the registry.
    """

    dataset: str
    unit: Unit
    stores: Mapping[str, Path]
    teachers: Mapping[str, tuple[tuple[Kind, str], ...]]
    pure: Mapping[str, str]
    measures: tuple[str, ...]


@dataclass
class Tables:
    """The rows of both tables."""

    measures: list[Row] = field(default_factory=list)
    pairs: list[Row] = field(default_factory=list)


class Shelf:
    """Opened networks, with what was computed of them."""

    def __init__(self) -> None:
        self._opened: dict[Path, Opened] = {}

    def get(self, name: str, path: Path) -> Opened:
        """The network in a file."""
        if path not in self._opened:
            self._opened[path] = Opened(name, read(path))
        return self._opened[path]

    def keep(self, paths: Iterable[Path]) -> None:
        """Forget all others."""
        self._opened = {path: self._opened[path] for path in paths if path in self._opened}


class Opened:
    """The layers of a network as inputs of measures, and with permuted rows."""

    def __init__(self, name: str, kept: Representations) -> None:
        self.name, self.kept = name, kept
        test, train = kept.test, kept.train
        self.layers = {
            layer: Representation(
                test.layers[layer],
                test.labels,
                test.ids,
                (train.layers[layer], train.labels),
                f"{name} {layer}",
            )
            for layer in kept.layers
        }
        self._permuted: dict[str, Representation] = {}

    def permuted(self) -> dict[str, Representation]:
        """The layers with their rows in a random order, the same at every call."""
        if not self._permuted:
            self._permuted = {
                name: layer.permuted(PERMUTATION_SEED) for name, layer in self.layers.items()
            }
        return self._permuted


def compute(task: Task, shelf: Shelf) -> Tables:
    """All rows of a unit's networks. Raises RunError if a file is damaged."""
    tables = Tables()
    chosen = [REGISTRY[name] for name in task.measures]
    by_kind = {kind: [m for m in chosen if m.kind == kind] for kind in ("representation", "pair")}
    for name in task.unit.members:
        one = shelf.get(name, task.stores[name])
        for layer, given in one.layers.items():
            for measure in by_kind["representation"]:
                fixed = {"dataset": task.dataset, "run": name, "layer": layer}
                tables.measures += [{**fixed, **found} for found in _values(measure, given)]
        predictions = [measure for measure in chosen if measure.kind == "predictions"]
        tables.measures += _predictions(task, one, predictions, shelf)
        for kind, other, pairs in _pairs(task, one, shelf):
            for layer_a, layer_b, pair in pairs:
                for measure in by_kind["pair"]:
                    tables.pairs += [
                        {
                            "dataset": task.dataset,
                            "run_a": name,
                            "layer_a": layer_a,
                            "run_b": other,
                            "layer_b": layer_b,
                            "kind": kind,
                            **found,
                        }
                        for found in _values(measure, pair)
                    ]
    shelf.keep(task.stores[name] for name in task.unit.others)
    return tables


def _values(measure: Measure, given: Representation | Pair | Predictions) -> Iterator[Row]:
    for found in measure(given):
        yield {
            "measure": measure.name,
            "value": None if found.value is None else float(found.value),
            "why": found.why or None,
            **{name: _plain(value) for name, value in found.details.items()},
        }


def _plain(value: Any) -> Any:
    """A Python number for a number of NumPy's."""
    return value.item() if isinstance(value, np.generic) else value


def _predictions(
    task: Task, one: Opened, measures: Sequence[Measure], shelf: Shelf
) -> Iterator[Row]:
    """What the logits say: alone, and beside each teacher's and the pure student's.

    A measure that needs a network that the run does not have has no row.
    """
    pure = task.pure.get(one.name)
    test, train = one.kept.test, one.kept.train
    other = shelf.get(pure, task.stores[pure]).kept.test.logits if pure else None
    for kind, teacher in task.teachers[one.name] or ((None, None),):
        taught = shelf.get(teacher, task.stores[teacher]).kept.test.logits if teacher else None
        given = Predictions(
            test.logits, test.labels, (train.logits, train.labels), taught, other, one.name
        )
        lacking = {
            name for name, logits in (("teacher", taught), ("pure", other)) if logits is None
        }
        for measure in measures:
            fixed: Row = {"dataset": task.dataset, "run": one.name, "layer": LOGITS}
            if "teacher" in measure.needs:
                fixed |= {"teacher": teacher, "kind": kind}
            elif kind in ("other_teacher", "pure_other_teacher"):
                continue  # it does not depend on the teacher
            if lacking.isdisjoint(measure.needs):
                yield from ({**fixed, **found} for found in _values(measure, given))


def _pairs(
    task: Task, one: Opened, shelf: Shelf
) -> Iterator[tuple[Kind, str, list[tuple[str, str, Pair]]]]:
    """Every comparison of a network with its pairs of layers.

    All other networks' layers go through one matrix product.
    """
    comparisons = task.unit.comparisons[one.name]
    columns: dict[tuple[str, bool], dict[str, Representation]] = {}
    for comparison in comparisons:
        permuted = comparison.kind == "permuted"
        other = shelf.get(comparison.other, task.stores[comparison.other])
        columns[comparison.other, permuted] = other.permuted() if permuted else other.layers
    places = [(key, layer) for key, layers in columns.items() for layer in layers]
    inputs = [columns[key][layer] for key, layer in places]
    made = {
        ((*one.layers,)[i], places[j]): pair
        for i, j, pair in compare([*one.layers.values()], inputs)
    }
    for comparison in comparisons:
        key = (comparison.other, comparison.kind == "permuted")
        same = same_layers((*one.layers,), (*columns[key],))
        wanted = [(a, same[a]) for a in one.layers if a in same]
        if comparison.kind == "cross_layer":
            wanted = [(a, b) for a in one.layers for b in columns[key] if same.get(a) != b]
        yield comparison.kind, comparison.other, [(a, b, made[a, (key, b)]) for a, b in wanted]
