"""Excess and specificity of the similarity to the teacher, per layer and method."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from stillhouse.show.figures.drawn import (
    CKA,
    INTERVAL,
    Drawn,
    NothingToDraw,
    Tables,
    caption,
    headline,
    settled,
)
from stillhouse.show.figures.style import DOUBLE, PRINT, PURE, TEACHER, Look

MEASURE = "linear_cka"
TICKS = 4  # of a narrow panel: more run into each other
QUANTITIES = ("excess", "specificity")
READING = (
    "excess (top) is the similarity of a student to its teacher less that of the pure student of "
    "the same seed to the same teacher: above 0, distillation moved the layer towards the "
    "teacher. The dashed line is the ceiling, the similarity of two teachers of different seeds "
    "less that of the pure student. Specificity (bottom) is the similarity to the own teacher "
    "less the mean similarity to the teachers of other seeds: above 0, the student is closer to "
    "this teacher than to one that it never saw. The pure student is the floor: nobody "
    "taught it, but it shares the order of images and their augmentation with its seed's teacher. "
    "All panels have the same axis."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw linear CKA of a dataset's methods. Raises NothingToDraw."""
    table = tables.transfer
    rows = table[
        (table["dataset"] == dataset)
        & (table["measure"] == MEASURE)
        & table["quantity"].isin(QUANTITIES)
    ]
    known = rows[rows["value"].notna()]
    if known.empty:
        raise NothingToDraw(f"no method has {CKA} with its teacher and a control")
    layers = list(dict.fromkeys(rows["layer"]))
    ceilings = {layer: _ceiling(tables, dataset, layer) for layer in layers}
    return Drawn(
        _figure(known, layers, ceilings, tables.looks(), tables.label(dataset)),
        known.assign(ceiling_excess=known["layer"].map(ceilings)),
        caption(
            f"Excess and specificity of {CKA} per layer. {INTERVAL}; fewer than three seeds "
            "have none.",
            tables,
            dataset,
            [int(n) for n in known["n"]],
            READING,
        ),
    )


def _ceiling(tables: Tables, dataset: str, layer: str) -> float | None:
    """Mean similarity of two teachers less that of the pure student and the teacher."""
    pairs, valid = tables.pairs, tables.valid(dataset)
    same = pairs[
        (pairs["dataset"] == dataset)
        & (pairs["measure"] == MEASURE)
        & (pairs["layer_a"] == layer)
        & pairs["run_a"].isin(valid["run"])
    ]
    pure = same["run_a"].isin(valid.loc[valid["role"] == "pure", "run"])
    top = same.loc[same["kind"] == "teacher_teacher", "value"].mean()
    floor = same.loc[(same["kind"] == "pure_teacher") & pure, "value"].mean()
    return float(top - floor) if np.isfinite(top - floor) else None


def _title(known: pd.DataFrame, last: str, dataset: str) -> str:
    taught = known[known["quantity"] == "excess"]["arm"]
    rows = known[(known["layer"] == last) & known["arm"].isin(taught)]
    parts = []
    for quantity in QUANTITIES:
        some = rows[rows["quantity"] == quantity]
        tested = some[some["low"].notna()]
        above = int((tested["low"] > 0).sum())
        parts.append(f"{quantity} above 0 in {above} of {len(some)} methods")
    return f"{dataset}, {last}: {', '.join(parts)}"


def _figure(
    known: pd.DataFrame,
    layers: list[str],
    ceilings: Mapping[str, float | None],
    looks: Mapping[str, Look],
    dataset: str,
) -> Figure:
    arms = list(dict.fromkeys(known["arm"]))
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, 2 * (0.2 * len(arms) + 0.55) + 0.5))
        grid = figure.subplots(2, len(layers), sharex=True, sharey=True, squeeze=False)
        for i, quantity in enumerate(QUANTITIES):
            for j, layer in enumerate(layers):
                axes = grid[i][j]
                some = known[(known["layer"] == layer) & (known["quantity"] == quantity)]
                _panel(axes, some, arms, looks)
                if quantity == "excess" and (top := ceilings[layer]) is not None:
                    axes.axvline(top, color=TEACHER, linestyle="--", linewidth=1, zorder=1)
                if i == 0:
                    axes.set_title(layer)
            grid[i][0].set_ylabel(quantity)
        grid[0][0].set_yticks(range(len(arms)), arms)
        grid[0][0].set_ylim(len(arms) - 0.5, -0.5)
        grid[0][0].xaxis.set_major_locator(MaxNLocator(TICKS))
        dashed = "; dashed: ceiling" if any(top is not None for top in ceilings.values()) else ""
        figure.supxlabel(f"{CKA}, difference{dashed}", fontsize=8)
        headline(figure, _title(known, layers[-1], dataset))
        return settled(figure)


def _panel(axes: Axes, some: pd.DataFrame, arms: list[str], looks: Mapping[str, Look]) -> None:
    axes.axvline(0, color=PURE, linestyle=":", linewidth=1, zorder=1)
    for row in some.to_dict("records"):
        look, place = looks[str(row["arm"])], arms.index(str(row["arm"]))
        if np.isfinite(row["low"]):
            axes.plot([row["low"], row["high"]], [place, place], color=look.colour)
        axes.plot([row["value"]], [place], look.marker, color=look.colour, ms=5)
