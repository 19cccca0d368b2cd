"""Choose swept values by validation accuracy, and write the round that reports them.

The final round trains on all training images, with other seeds than the search. So neither the test
images nor the noise of the chosen runs influence the choice. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import fsum
from pathlib import Path
from typing import Any

import yaml

from stillhouse.config.renamed import modernise
from stillhouse.config.schema import PURE, Round
from stillhouse.config.yaml_file import read_yaml
from stillhouse.errors import ConfigError, RunError, some
from stillhouse.rounds.survey import Cell, Survey

SHOWN_RUNS = 3
DIGITS = 9  # equal means may differ in their last bits
LEFT_OUT = ("status", "known_issues", "compares_to", "changes", "sweep", "started")
HEADER = """\
# The final round of {name}: each method with its best value of the search, chosen on validation
# images. No images are held out here, and the seeds are others.
"""


@dataclass(frozen=True)
class Point:
    """One combination of swept values of a method, and its runs' mean validation accuracy (%).

    `mean` is missing where a run failed.
    """

    values: dict[str, float]
    runs: int
    mean: float | None


def trials(survey: Survey) -> dict[str, list[Point]]:
    """Return every value that was tried of each distillation method, in the order of the sweep.

    A mean is over all datasets, networks and seeds. Raises ConfigError for a round without a sweep
    or without validation images, and RunError while runs are unfinished.
    """
    round_ = survey.round
    if not any(cell.config.axes for cell in survey.cells):
        raise ConfigError(
            f"round '{round_.round}' has no sweep, so there is nothing to choose",
            "list the values to try, as in `sweep: {temperature: [1, 2, 4]}`",
        )
    cells = [cell for cell in survey.cells if cell.config.method != PURE]
    blind = {c.config.dataset for c in survey.cells if not survey.validated(c.config.dataset)}
    if blind:
        raise ConfigError(
            f"round '{round_.round}' holds out no validation images of {', '.join(sorted(blind))}: "
            "a choice on the test images makes their accuracy too high",
            "set `validation: 500`, for example, under `training:`, and train the round",
        )
    open_ = [c.config.path for c in cells if c.state.name not in ("done", "failed")]
    if open_:
        raise RunError(
            f"{len(open_)} of {len(cells)} runs of the search are not finished: "
            f"{some(open_, SHOWN_RUNS)}",
            "train them first",
        )
    groups: dict[str, dict[tuple[float, ...], list[Cell]]] = {}
    for cell in cells:
        point = tuple(cell.config.axes.values())
        groups.setdefault(cell.config.method, {}).setdefault(point, []).append(cell)
    return {method: [_point(same) for same in found.values()] for method, found in groups.items()}


def best(points: Iterable[Point]) -> Point | None:
    """Return the point with the best mean; of equal ones that with the smallest values."""
    known = [point for point in points if point.mean is not None]
    order = {id(p): (-round(p.mean or 0.0, DIGITS), tuple(p.values.values())) for p in known}
    return min(known, key=lambda point: order[id(point)], default=None)


def write_final(survey: Survey, file: Path, found: dict[str, list[Point]]) -> Path:
    """Write the final round's file `NAME_final.yaml` beside the search's; return its path.

    Raises RunError if it exists, or if every value of a method failed.
    """
    new = file.with_name(f"{file.stem}_final{file.suffix}")
    if new.exists():
        raise RunError(f"{new} exists", "move it away to choose again")
    chosen = {method: best(points) for method, points in found.items()}
    if lost := [method for method, point in chosen.items() if point is None]:
        raise RunError(
            f"every value of {', '.join(lost)} failed",
            "leave the method out of the round, or try other values",
        )
    values = {method: point.values for method, point in chosen.items() if point}
    fields = _final(survey.round, file, new.stem, values)
    fields["search"] = {
        "round": survey.round.round,
        "seeds": [*survey.round.seeds],
        "trials": {method: len(points) for method, points in found.items()},
    }
    text = yaml.safe_dump(fields, sort_keys=False, default_flow_style=None, allow_unicode=True)
    with new.open("x", encoding="utf-8") as out:
        out.write(HEADER.format(name=survey.round.round) + text)
    return new


def search_note(round_: Round) -> tuple[str, ...]:
    """Return what the reader of a final round's tables should know of the search."""
    search = round_.search
    if search is None:
        return ()
    tried = ", ".join(f"{method} {count}" for method, count in search.trials.items())
    seeds = ", ".join(map(str, search.seeds))
    note = (
        f"Values were chosen on validation images in round {search.round} (seeds {seeds}); values "
        f"tried: {tried}."
    )
    if len(set(search.trials.values())) < 2:
        return (note,)
    return (note, "Unequal numbers of trials favour the methods with more of them.")


def _point(cells: list[Cell]) -> Point:
    results = [cell.state.result for cell in cells]  # also of one at chance on the test images
    measured = [r["final"].get("validation") if r else None for r in results]
    known = [one["accuracy"] for one in measured if one]
    mean = fsum(known) / len(known) if len(known) == len(cells) else None
    return Point(cells[0].config.axes, len(cells), mean)


def _final(
    round_: Round, file: Path, name: str, chosen: dict[str, dict[str, float]]
) -> dict[str, Any]:
    """Return the search's file as a mapping, with the chosen values, other seeds, all images."""
    fields = read_yaml(file).data
    modernise(fields)
    old = {key: value for key, value in fields.items() if key not in LEFT_OUT}
    training = {k: v for k, v in old.get("training", {}).items() if k != "validation"}
    overrides = {
        kind: {
            key: {k: v for k, v in section.items() if k != "validation"}
            for key, section in sections.items()
        }
        for kind, sections in old.get("overrides", {}).items()
    }
    methods = overrides.setdefault("methods", {})
    for method, values in chosen.items():
        if values:
            methods[method] = {**methods.get(method, {}), **values}
    first = max(round_.seeds) + 1
    seeds = [*range(first, first + len(round_.seeds))]
    old |= {"round": name, "compares_to": round_.round, "seeds": seeds}
    old |= {"training": training, "overrides": overrides}
    old["motivation"] = f"The methods of {round_.round} with their chosen values."
    if taught_by := _teacher_seeds(round_, seeds):
        old["teacher_seeds"] = taught_by
    else:
        old.pop("teacher_seeds", None)
    return {key: value for key, value in old.items() if value != {}}


def _teacher_seeds(round_: Round, seeds: list[int]) -> list[int]:
    """Return the seeds of the teachers: given ones stay, own ones are trained with new seeds."""
    before = round_.teacher_seeds
    if round_.teachers_from:
        return [*(before or round_.seeds)]
    return seeds[:1] if before and len(before) == 1 else []
