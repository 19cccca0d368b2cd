"""What is wrong between runs: unequal recipes, and equal numbers where they must differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stillhouse.config.identity import as_written, counted, difference
from stillhouse.config.schema import PURE
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.finding import Finding

OF_THE_TERM = {"method", "distillation", "parameters", "teacher"}


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
    usual = case.peers.pure_recipe.get(case.config.model)
    if case.config.method == PURE or usual is None or usual == case.recipe:
        return []
    return difference(dict(usual), dict(case.recipe))


def identical(case: Case) -> Iterator[Finding]:
    """Another configuration, the same curves; `ce_scaled` at weight 1 is `pure`."""
    if case.curves is None:
        return
    for peer in case.peers.by_curves.get(case.curves, []):
        if peer.path != case.path and (unequal := _unequal(case, peer)):
            text = f"the same as {peer.path}, which differs in {unequal}"
            yield Finding("identical-curves", "certain", (case.at(-1, text), peer.at(-1, "")))
            return


def _unequal(case: Case, peer: Case) -> str:
    """The first setting in which two runs differ and that must have shown; empty if none."""
    alike = _task_alone(case) and _task_alone(peer)
    for name, *_ in difference(counted(peer.config), counted(case.config)):
        if not (alike and name.split(".")[0] in OF_THE_TERM):
            return name
    return ""


def _task_alone(case: Case) -> bool:
    """Whether it minimises the plain cross entropy."""
    coefficients = case.facts.get("coefficients", {"ce": 1.0})
    return case.config.method in (PURE, "ce_scaled") and coefficients == {"ce": 1.0}
