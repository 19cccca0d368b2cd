"""Accuracy against alignment with the teacher: between methods, and within them."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stillhouse.show.figures.drawn import (
    CKA,
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
from stillhouse.stats.inference import correlation

MEASURE = "linear_cka"
READING = (
    "each mark is a run: how alike its last layer and the teacher's are, and its test accuracy; a "
    "line joins the seeds of a method by least squares. The correlation within methods is that "
    "of the deviations of runs from their method's means: it asks whether a better aligned run "
    "of the same method is more accurate. The correlation between methods compares the means: it "
    "can come from anything in which methods differ. Only if both have one sign does alignment "
    "look useful. Both axes are zoomed."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw the students of a dataset. Raises NothingToDraw."""
    runs, pairs = tables.valid(dataset), tables.pairs
    own = pairs[
        (pairs["dataset"] == dataset)
        & (pairs["measure"] == MEASURE)
        & pairs["kind"].isin(["own_teacher", "pure_teacher"])
        & pairs["value"].notna()
    ]
    found = own.merge(
        runs[["run", "arm", "role", "seed", "accuracy"]], left_on="run_a", right_on="run"
    )
    found = found[(found["role"] != "teacher") & found["accuracy"].notna()]
    if found.empty:
        raise NothingToDraw(f"no valid student has {CKA} with a teacher")
    last = by_layer(found["layer_a"])[-1]
    found = found[found["layer_a"] == last]
    found = found[["run", "arm", "role", "seed", "run_b", "accuracy", "value"]]
    return Drawn(
        _figure(found, last, tables.looks(), tables.label(dataset)),
        found.rename(columns={"run_b": "teacher_run", "value": MEASURE}),
        caption(
            f"Test accuracy against {CKA} with the teacher at {last}, one mark per run.",
            tables,
            dataset,
            [int(n) for n in found.groupby("arm")["run"].nunique()],
            READING,
        ),
    )


def correlations(found: pd.DataFrame) -> tuple[float | None, float | None]:
    """Pearson's r of alignment and accuracy within arms and between their means.

    None below three pairs, or where one side does not vary.
    """
    both = found[["value", "accuracy"]]
    means = both.groupby(found["arm"]).mean()
    several = found.groupby("arm")["run"].transform("size") > 1
    inside = (both - means.loc[found["arm"]].to_numpy())[several]
    return (
        correlation([*inside["value"]], [*inside["accuracy"]]),
        correlation([*means["value"]], [*means["accuracy"]]),
    )


def _title(found: pd.DataFrame, last: str, dataset: str) -> str:
    named = [
        f"{r:+.2f} {where} methods"
        for r, where in zip(correlations(found), ("within", "between"), strict=True)
        if r is not None
    ]
    if not named:
        return f"{dataset}, {last}: accuracy and alignment, too few runs for a correlation"
    return f"{dataset}, {last}: correlation of accuracy and CKA {', '.join(named)}"


def _figure(found: pd.DataFrame, last: str, looks: Mapping[str, Look], dataset: str) -> Figure:
    ends = []
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, max(3.2, 0.2 * found["arm"].nunique() + 1.4)))
        axes = figure.add_subplot()
        for name, own in found.groupby("arm", sort=False):
            arm, look = str(name), looks[str(name)]
            x, y = own["value"].to_numpy(), own["accuracy"].to_numpy()
            axes.plot(x, y, look.marker, color=look.colour, alpha=0.6)
            if np.ptp(x) > 0:
                places = np.array([x.min(), x.max()])
                axes.plot(places, np.polyval(np.polyfit(x, y, 1), places), color=look.colour)
            ends.append((float(y.mean()), arm, look.colour))
        axes.set_xlabel(f"{CKA} with the teacher, {last}; axes zoomed")
        axes.set_ylabel("test accuracy (%)")
        headline(figure, _title(found, last, dataset))
        figure.draw_without_rendering()  # so that the panel has its place
        label_ends(axes, ends)
        return settled(figure)
