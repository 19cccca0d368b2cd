"""Dimensions of the representation over depth: four measures, one line per method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import ceil

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stillhouse.show.figures.drawn import (
    ORDER,
    Drawn,
    NothingToDraw,
    Tables,
    caption,
    headline,
    label_ends,
    settled,
)
from stillhouse.show.figures.panels import by_layer
from stillhouse.show.figures.style import DOUBLE, PRINT, Look

MEASURES = {
    "participation_ratio": "participation ratio",
    "effective_rank": "effective rank",
    "pca_95": "principal components for 95 % of the variance",
    "twonn": "TwoNN dimension",
}
READING = (
    "each line is one method's mean over seeds, small marks are seeds; black is the teacher, grey "
    "the pure student. The first three panels describe the spectrum of the covariance, from the "
    "most to the least dominated by its largest directions; TwoNN is the local dimension at the "
    "scale of nearest neighbours. A method whose line moves from the pure student's to the "
    "teacher's changed the shape of the representation, not only its accuracy. Each panel has its "
    "own axis, which does not begin at 0."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw the arms of a dataset. Raises NothingToDraw."""
    what = "Dimensions of each layer's features over the test images."
    return over_depth(tables, dataset, MEASURES, _title, (what, READING))


def over_depth(
    tables: Tables,
    dataset: str,
    measures: Mapping[str, str],
    title: Callable[[pd.DataFrame, str], str],
    texts: tuple[str, str],
) -> Drawn:
    """Draw measures of the layers of a dataset's arms, a panel each.

    `texts` are what is shown and how to read it. Raises NothingToDraw.
    """
    found = values(tables, dataset, measures)
    if found.empty:
        raise NothingToDraw("no layer of a valid run was measured")
    means = found.groupby(["arm", "layer", "measure"], sort=False)["value"]
    seeds = [int(n) for n in found.groupby("arm")["run"].nunique()]
    what, reading = texts
    return Drawn(
        lines_over_depth(found, measures, tables.looks(), title(found, tables.label(dataset))),
        means.agg(["mean", "std", "count"]).reset_index(),
        caption(what, tables, dataset, seeds, reading),
    )


def values(tables: Tables, dataset: str, names: Mapping[str, str]) -> pd.DataFrame:
    """The values of measures of layers, with the arm of their run; TwoNN over all rows."""
    runs, measures = tables.valid(dataset), tables.measures
    some = measures[measures["measure"].isin(list(names)) & measures["value"].notna()]
    if "scale" in some:
        some = some[some["scale"].isna() | (some["scale"] == 1)]
    found = some.merge(runs[["run", "arm", "role"]], on="run")
    return found[["arm", "role", "run", "layer", "measure", "value"]]


def _title(found: pd.DataFrame, dataset: str) -> str:
    last = by_layer(found["layer"])[-1]
    some = found[(found["layer"] == last) & (found["measure"] == "effective_rank")]
    means = some.groupby("role")["value"].mean()
    if not {"teacher", "pure"} <= set(means.index):
        return f"{dataset}: dimensions over depth"
    pure, teacher = (some[some["role"] == role]["value"] for role in ("pure", "teacher"))
    if pure.min() > teacher.max():
        order = "more directions than its teacher"
    elif pure.max() < teacher.min():
        order = "fewer directions than its teacher"
    else:  # no seed apart: the order of the means says nothing
        order = "as many directions as its teacher"
    return (
        f"{dataset}, {last}: the pure student uses {order} "
        f"(effective rank {means['pure']:.1f}, {means['teacher']:.1f})"
    )


def lines_over_depth(
    found: pd.DataFrame, measures: Mapping[str, str], looks: Mapping[str, Look], title: str
) -> Figure:
    """Draw one panel per measure (by name: its title), two in a row, one line per arm."""
    layers = by_layer(found["layer"])
    arms = list(
        dict.fromkeys(
            found.sort_values("role", key=lambda role: role.map(ORDER), kind="stable")["arm"]
        )
    )
    rows = ceil(len(measures) / 2)
    height = rows * max(1.9, 0.16 * len(arms) + 0.6) + 0.6
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, height))
        grid = figure.subplots(rows, 2, sharex=True, squeeze=False)
        for axes, (name, panel) in zip(grid.flat, measures.items(), strict=True):
            _panel(axes, found[found["measure"] == name], arms, layers, looks)
            axes.set_title(panel)
        for axes in grid[-1]:
            axes.set_xticks(range(len(layers)), layers)
            axes.set_xlim(-0.15, len(layers) - 0.85)
        headline(figure, title)
        figure.draw_without_rendering()  # so that panels have their place
        for axes, name in zip(grid[:, 1], [*measures][1::2], strict=True):
            label_ends(axes, _ends(found[found["measure"] == name], arms, layers[-1], looks))
        return settled(figure)


def _panel(
    axes: Axes,
    some: pd.DataFrame,
    arms: Sequence[str],
    layers: Sequence[str],
    looks: Mapping[str, Look],
) -> None:
    for arm in arms:
        own, look = some[some["arm"] == arm], looks[arm]
        means = own.groupby("layer")["value"].mean().reindex([*layers])
        axes.plot(range(len(layers)), means, marker=look.marker, color=look.colour)
        places = [layers.index(layer) for layer in own["layer"]]
        axes.plot(places, own["value"], look.marker, color=look.colour, ms=2, alpha=0.4, mew=0)


def _ends(
    some: pd.DataFrame, arms: Sequence[str], last: str, looks: Mapping[str, Look]
) -> list[tuple[float, str, str]]:
    means = some[some["layer"] == last].groupby("arm")["value"].mean()
    return [(float(means[arm]), arm, looks[arm].colour) for arm in arms if arm in means]
