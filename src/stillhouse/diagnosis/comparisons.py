"""What is wrong between runs: unequal recipes, and equal numbers where they must differ."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import mode
from typing import Any

from stillhouse.config.identity import as_written, counted, difference
from stillhouse.diagnosis.case import Case, Finding

# A recipe's field that says how a run is computed, not what is learned.
FREE = {"threads", "deterministic", "cuda_graphs"}
OF_THE_TERM = {"method", "distillation", "parameters", "teacher"}
CURVES = ("train.accuracy", "test.accuracy", "test.ce")


def confounded(case: Case) -> Iterator[Finding]:
    """Its recipe is not that of the pure runs it is compared with."""
    if unequal := unequal_recipe(case):
        text = ", ".join(
            f"{name} {as_written(was)} in pure, {as_written(now)} here"
            for name, was, now in unequal
        )
        yield Finding("confounded", "certain", (case.fact(unequal[0][0], text),))


def unequal_recipe(case: Case) -> list[tuple[str, Any, Any]]:
    """The recipe's fields in which a student differs from most pure runs: field, theirs, its."""
    if case.config.method == "pure":
        return []
    peers = [p for p in case.peers if p.config.model == case.config.model]
    pure = [_recipe(peer) for peer in peers if peer.config.method == "pure"]
    if not pure:
        return []
    reference = mode([tuple(sorted(recipe.items())) for recipe in pure])
    return difference(dict(reference), _recipe(case))


def _recipe(case: Case) -> dict[str, Any]:
    recipe = counted(case.config)["training"]
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in recipe.items()}
    return {name: value for name, value in plain.items() if name not in FREE}


def identical(case: Case) -> Iterator[Finding]:
    """Another configuration, the same curves; `ce_scaled` at weight 1 is `pure`."""
    own = _curves(case)
    if own is None:
        return
    for peer in case.peers:
        alike = _task_alone(case) and _task_alone(peer)
        unequal = [
            name
            for name, *_ in difference(counted(peer.config), counted(case.config))
            if not (alike and name.split(".")[0] in OF_THE_TERM)
        ]
        if unequal and _curves(peer) == own:
            text = f"the same as {peer.path}, which differs in {unequal[0]}"
            yield Finding("identical-curves", "certain", (case.at(-1, text), peer.at(-1, "")))
            return


def _task_alone(case: Case) -> bool:
    """Whether it minimises the plain cross entropy."""
    coefficients = case.facts.get("coefficients", {"ce": 1.0})
    return case.config.method in ("pure", "ce_scaled") and coefficients == {"ce": 1.0}


def _curves(case: Case) -> tuple[tuple[float, ...], ...] | None:
    curves = tuple(tuple(case.series(name)) for name in CURVES)
    return curves if all(len(curve) >= 3 for curve in curves) else None
