"""What was transferred: differences of similarities, with intervals over seeds.

*Excess* is a student's similarity to its own teacher less that of the pure student of its seed to
the same teacher: how much distillation added. *Specificity* is the similarity to its own teacher
less the mean similarity to the teachers of other seeds: how much of it is of this teacher. A
student that nobody taught has a specificity too, the floor: it saw the images in the order in
which the teacher of its seed saw them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from stillhouse.stats.columns import TRANSFER, frame
from stillhouse.stats.inference import difference

Row = Mapping[str, Any]
DETAILS = ("bandwidth",)  # detail columns by which one measure has several values
TAUGHT, UNTAUGHT = ("own_teacher", "other_teacher"), ("pure_teacher", "pure_other_teacher")
OTHERS = ("other_teacher", "pure_other_teacher")
NO_CONTROL = "no valid pure student of its seeds was compared with the same teacher"
NO_OTHERS = "no other seed trained a teacher of this kind"


@dataclass
class _Seeds:
    """An arm's values by seed: with its own teacher, the control's, with other teachers.

    `several`: whether a seed has more than one teacher of its own.
    """

    own: dict[int, float] = field(default_factory=dict)
    pure: dict[int, float] = field(default_factory=dict)
    others: dict[int, list[float]] = field(default_factory=dict)
    several: bool = False


def transfer_frame(
    runs: pd.DataFrame, measures: Iterable[Row], pairs: Iterable[Row]
) -> pd.DataFrame:
    """Return excess and specificity of every distilled arm, layer and measure, and the specificity
    of every other arm of students.

    `runs` is the table of runs; only valid ones count. `measures` and `pairs` are rows of the
    tables of these names.
    """
    valid = runs[runs["valid"].fillna(False) & (runs["state"] == "done")]
    known = {str(one["run"]): one for one in valid.to_dict("records")}
    pure = {
        (one["dataset"], one["student"], one["seed"]): name
        for name, one in known.items()
        if one["method"] == "pure"
    }
    values = [*_similarities(measures, pairs)]
    controls = {one[1:]: value for one, value in values if one[0] == "pure_teacher"}
    arms: dict[tuple[str, ...], _Seeds] = {}
    untaught: dict[tuple[str, ...], _Seeds] = {}
    for (kind, name, teacher, layer, measure), value in values:
        if kind not in (*TAUGHT, *UNTAUGHT) or (run := known.get(name)) is None:
            continue
        place: tuple[str, ...] = (str(run["dataset"]), str(run["arm"]), layer, measure)
        found = arms if kind in TAUGHT else untaught
        seeds, seed = found.setdefault(place, _Seeds()), int(run["seed"])
        if kind in OTHERS:
            seeds.others.setdefault(seed, []).append(value)
            continue
        seeds.several |= seed in seeds.own
        seeds.own[seed] = value
        if kind not in TAUGHT:
            continue
        control = pure.get((run["dataset"], run["student"], run["seed"]))
        if control and (same := controls.get((control, teacher, layer, measure))) is not None:
            seeds.pure[seed] = same
    rows = [row for place, seeds in arms.items() for row in _quantities(place, seeds)]
    for place, seeds in untaught.items():
        if seeds.others and not seeds.several:  # of several teachers, none is its own
            rows += [row for row in _quantities(place, seeds) if row["quantity"] == "specificity"]
    order = {name: place for place, name in enumerate(dict.fromkeys(runs["dataset"]))}
    return frame(sorted(rows, key=lambda row: order[row["dataset"]]), TRANSFER)


def _similarities(
    measures: Iterable[Row], pairs: Iterable[Row]
) -> Iterable[tuple[tuple[str, str, str, str, str], float]]:
    """Every value as ((kind, run, teacher, layer, measure), value), missing ones left out."""
    for row in pairs:
        if row["value"] is not None:
            place = (row["kind"], row["run_a"], row["run_b"], row["layer_a"])
            yield (*place, _name(row)), row["value"]
    for row in measures:
        if row["value"] is not None and row.get("teacher"):
            place = (row["kind"], row["run"], row["teacher"], row["layer"])
            yield (*place, _name(row)), row["value"]


def _name(row: Row) -> str:
    """The measure with the details that tell several values of it apart: `rbf_cka 0.5`."""
    return " ".join([row["measure"], *(f"{row[one]:g}" for one in DETAILS if row.get(one))])


def _quantities(place: tuple[str, ...], seeds: _Seeds) -> Iterable[dict[str, Any]]:
    others = {seed: sum(many) / len(many) for seed, many in seeds.others.items()}
    sides = {"excess": (seeds.pure, NO_CONTROL), "specificity": (others, NO_OTHERS)}
    dataset, arm, layer, measure = place
    for quantity, (side, why) in sides.items():
        found = difference(seeds.own, side, "paired")
        row: dict[str, Any] = {
            "dataset": dataset,
            "arm": arm,
            "layer": layer,
            "measure": measure,
            "quantity": quantity,
        }
        if found is None:
            yield {**row, "n": 0, "why": why}
            continue
        yield {
            **row,
            "n": found.n,
            "value": found.value,
            "sd": found.sd,
            "low": found.low,
            "high": found.high,
            "p": found.p,
            "why": found.why or None,
        }
