"""`plan --power`: how many seeds a difference needs, and what the seeds of a round can show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import sqrt
from typing import Any

from scipy import special

from stillhouse import data
from stillhouse.rounds.survey import Survey
from stillhouse.stats.inference import Test
from stillhouse.stats.power import ALPHA, power, seeds_needed, smallest_detectable, spread_bounds
from stillhouse.stats.summary import MIN_SEEDS
from stillhouse.tables import Cell, Table, from_rows

SEEDS = (3, 5, 7, 10, 15, 20, 30)
DIFFERENCE = 0.5  # points, as `plan --power` takes if none is given


@dataclass(frozen=True)
class Design:
    """What a comparison rests on: `sd` in points, and over how many comparisons p is adjusted.

    `resolution` is what one test image is worth: no interval is narrower (0: not known).
    """

    name: str
    sd: float
    test: Test
    family: int
    source: str
    resolution: float = 0.0


def designs(survey: Survey) -> list[Design]:
    """The spread that a round's valid runs show so far, for every dataset that shows one."""
    from stillhouse.stats.frame import spread_so_far, test_of  # pandas, which most plans do without

    test, files = test_of(survey.round), survey.round.files
    specs = {dataset: data.spec(dataset, files) for dataset in survey.round.datasets}
    return [
        Design(
            name=spec.label,
            sd=sd,
            test=test,
            family=sum(method != "pure" for method in survey.round.methods),
            source=_source(test),
            resolution=100 / spec.test_images,
        )
        for dataset, spec in specs.items()
        if (sd := spread_so_far(survey, dataset))
    ]


def power_table(design: Design, difference: float) -> Table:
    """What numbers of seeds can show at a spread; below it, what `difference` points need."""
    rows = [_text(row, difference) for row in _rows([design], difference)]
    title = f"{design.name}: {_kind(design.test)}, sd {design.sd:.2f} points ({design.source})"
    return replace(from_rows(title, rows, notes(design, difference)), keys=1)


def power_records(found: Sequence[Design], difference: float) -> Table:
    """The same of some designs for programs, one number per cell."""
    return from_rows("power", _rows(found, difference))


def _rows(found: Sequence[Design], difference: float) -> list[dict[str, Any]]:
    return [_row(design, n, difference) for design in found for n in SEEDS]


def notes(design: Design, difference: float) -> tuple[str, ...]:
    """Sentences for a reader who plans a round."""
    needed = _seeds(seeds_needed(difference, design.sd, design.test))
    strict = ""
    if design.family > 1:
        count = _seeds(seeds_needed(difference, design.sd, design.test, ALPHA / design.family))
        strict = f", {count} to hold among {design.family} methods (0.05 / {design.family})"
    least = smallest_detectable(design.sd, MIN_SEEDS, design.test)
    low, high = spread_bounds(MIN_SEEDS)
    return (
        f"{difference:g} points need {needed} per arm for 80 % power at p < 0.05{strict}.",
        f"Three seeds find a true difference of {least:.2f} points with 80 % power; they know "
        f"their sd only to within × {low:.2f} to {high:.2f}, and a permutation of signs cannot "
        "get below p = 0.25.",
    )


def plan_notes(survey: Survey) -> tuple[str, ...]:
    """What the planned seeds can show: by the spread seen so far, else in units of it."""
    n = len(survey.round.seeds)
    if n < MIN_SEEDS:
        return (
            f"power: {n} seed{'s' * (n > 1)} per arm: no standard deviation, interval or p-value; "
            "three are the fewest that have one",
        )
    done = any(cell.state.name == "done" for cell in survey.cells)
    found = designs(survey) if done else []
    if not found:
        gap = smallest_detectable(1.0, n, "paired")
        return (
            f"power: {n} seeds per arm find, with 80 % power, differences of {gap:.1f} standard "
            "deviations of the paired differences; in points: `stillhouse plan --power --sd SD`",
        )
    return tuple(
        f"power, {one.name}: {n} seeds find {smallest_detectable(one.sd, n, one.test):.2f} points "
        f"with 80 % power (sd {one.sd:.2f}, {one.source}); {DIFFERENCE:g} points need "
        f"{_seeds(seeds_needed(DIFFERENCE, one.sd, one.test))}"
        for one in found
    )


def _row(design: Design, n: int, difference: float) -> dict[str, Any]:
    arms = 1 if design.test == "paired" else 2
    low, high = spread_bounds(n)
    half = float(special.stdtrit(arms * (n - 1), 1 - ALPHA / 2)) * design.sd * sqrt(arms / n)
    return {
        "name": design.name,
        "test": design.test,
        "sd": design.sd,
        "seeds": n,
        "half_interval": half if 2 * half >= design.resolution else None,
        "smallest_detectable": smallest_detectable(design.sd, n, design.test),
        "difference": difference,
        "power": 100 * power(difference, design.sd, n, design.test),
        "true_over_sample_sd_low": low,
        "true_over_sample_sd_high": high,
    }


def _text(row: dict[str, Any], difference: float) -> dict[str, Cell]:
    low, high = row["true_over_sample_sd_low"], row["true_over_sample_sd_high"]
    half = row["half_interval"]
    return {
        "Seeds per arm": row["seeds"],
        "95 % interval ±": "n/a" if half is None else f"{half:.2f}",
        "Found with 80 % power": f"{row['smallest_detectable']:.2f}",
        f"Power for {difference:g}": f"{row['power']:.0f} %",
        "Real sd / sample sd": f"{low:.2f} to {high:.2f}",
    }


def _source(test: Test) -> str:
    if test == "paired":
        return "of paired differences to pure, so far"
    return "pooled over the students' arms, so far"


def _kind(test: Test) -> str:
    return "paired by seed" if test == "paired" else "two independent arms"


def _seeds(count: int | None) -> str:
    return "more than a thousand seeds" if count is None else f"{count} seeds"
