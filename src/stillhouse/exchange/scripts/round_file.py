"""Build the round file of a set of script runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from stillhouse import methods
from stillhouse.config.schema import PURE, Distillation, Imported, Overrides, Round, Training
from stillhouse.errors import DataError
from stillhouse.exchange.scripts.script_run import ScriptRun, outcome

ALPHA = 0.5
TEACHER_SEED = re.compile(r"/pure/[^/]+/(\d{1,9})/")


def make_round(
    runs: list[ScriptRun], name: str, source: str, described: Round | None
) -> tuple[Round, list[str]]:
    """Return the round of `runs`, and what one round file cannot express.

    Datasets, networks, methods, seeds, loss weights and epochs come from the records; the recipe
    and the legacy notes come from `described`, because the records have neither. A run whose
    teacher is another network than that of most runs is left out. Raises DataError without runs.
    """
    if not runs:
        raise DataError(f"{source}: no run folders found", "expected DATASET/METHOD/NETWORKS/SEED")
    places = [run.found.place for run in runs]
    teacher, students = _networks(runs, described)
    notes: list[str] = []
    seeds = tuple(sorted({place.seed for place in places}))
    levels = _levels(runs)
    weighing, overrides, sweep = _weights(runs, levels, notes)
    training = described.training if described else Training()
    fields: dict[str, Any] = described.model_dump(exclude_unset=True) if described else {}
    fields |= {
        "round": name,
        "status": "imported",
        "datasets": _ordered(described.datasets if described else (), [p.dataset for p in places]),
        "teacher": teacher,
        "students": students,
        "methods": _ordered(described.methods if described else (), [p.method for p in places]),
        "seeds": seeds,
        "teacher_seeds": _teacher_seeds(runs, seeds, notes),
        "training": training.model_copy(update={"epochs": _epochs(runs, training, notes)}),
        "distillation": weighing,
        "overrides": overrides,
        "sweep": sweep,
        "imported": Imported(source=source, runs=(), unknown=_unknown(runs, described)),
    }
    return Round.model_validate(fields), notes


def _networks(runs: list[ScriptRun], described: Round | None) -> tuple[str, tuple[str, ...]]:
    places = [run.found.place for run in runs]
    teachers = [place.teacher for place in places if place.teacher]
    models = list(dict.fromkeys(place.model for place in places))
    default = described.teacher if described and described.teacher in models else models[0]
    teacher: str = _commonest(teachers, default)
    return teacher, tuple(model for model in models if model != teacher) or (teacher,)


def _levels(runs: list[ScriptRun]) -> list[float]:
    """Return the alphas of a sweep: from the folders, or recorded without an `alpha_X` folder."""
    named = [run.found.place.alpha for run in runs if run.found.place.alpha is not None]
    recorded = [
        run.config["alpha"]
        for run in runs
        if run.found.place.teacher and run.found.place.alpha is None and "alpha" in run.config
    ]
    return sorted({float(f"{alpha:g}") for alpha in [*named, *recorded]}) if named else []


def _ordered(first: Iterable[str], found: Iterable[str]) -> tuple[str, ...]:
    """Return what was found, in the order of `first`, then in order of appearance."""
    found = list(dict.fromkeys(found))
    return tuple(sorted(found, key=lambda name: [*first, *found].index(name)))


def _unknown(runs: list[ScriptRun], described: Round | None) -> tuple[str, ...]:
    """Return the fields of the recipe without a record; a round file has all of them."""
    if described is not None:
        return ()
    known = {"epochs", *(name for run in runs for name in run.config)}
    return tuple(name for name in Training.model_fields if name not in known)


def _weights(
    runs: list[ScriptRun], levels: list[float], notes: list[str]
) -> tuple[Distillation, Overrides, dict[str, Any]]:
    """Return loss weight alpha (one value, one per method or a sweep) and every temperature."""
    alphas, own = _recorded(runs, "alpha"), {}
    common = ALPHA
    if not levels:
        common = _commonest([value for values in alphas.values() for value in values], ALPHA)
        own = {
            method: {"alpha": alpha}
            for method, values in alphas.items()
            if (alpha := _commonest(values, common)) != common
        }
    for method, values in _recorded(runs, "temperature").items():
        if "temperature" in methods.declared(method).parameters:
            own.setdefault(method, {})["temperature"] = _commonest(values, None)
            _several("temperature", method, values, notes)
    for method, values in alphas.items() if not levels else ():
        _several("alpha", method, values, notes)
    sweep: dict[str, Any] = {"alpha": tuple(levels)} if levels else {}
    weighing = Distillation(total="convex", alpha=None if levels else common)
    return weighing, Overrides(methods=own), sweep


def _recorded(runs: list[ScriptRun], field: str) -> dict[str, list[float]]:
    """Return by distillation method the recorded values of a setting."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if run.found.place.method != PURE and field in run.config:
            found.setdefault(run.found.place.method, []).append(float(run.config[field]))
    return found


def _several(field: str, method: str, values: list[float], notes: list[str]) -> None:
    if len(set(values)) > 1:
        notes.append(f"{method}: its runs have several {field}s: {sorted(set(values))}")


def _teacher_seeds(
    runs: list[ScriptRun], seeds: tuple[int, ...], notes: list[str]
) -> tuple[int, ...] | None:
    """Return which teacher taught which seed, by the weights' paths; None for the same seed."""
    taught: dict[int, set[int]] = {}
    for run in runs:
        found = TEACHER_SEED.search(str(run.config.get("teacher_weights")))
        if found:
            taught.setdefault(run.found.place.seed, set()).add(int(found[1]))
    mixed = [seed for seed, teachers in taught.items() if len(teachers) > 1]
    if mixed:
        notes.append(f"students of seeds {mixed} had teachers of several seeds: {taught}")
        return None
    pairs = tuple(next(iter(taught.get(seed, {seed}))) for seed in seeds)
    return None if pairs == seeds else pairs


def _epochs(runs: list[ScriptRun], training: Training, notes: list[str]) -> int:
    """Return the planned number of epochs: that of the completed runs."""
    done = [len(run.records) for run in runs if outcome(run).state == "finished"]
    if len(set(done)) > 1:
        notes.append(f"completed runs have different numbers of epochs: {sorted(set(done))}")
    epochs: int = _commonest(done, training.epochs)
    return epochs


def _commonest(values: list[Any], default: Any) -> Any:
    return Counter(values).most_common(1)[0][0] if values else default
