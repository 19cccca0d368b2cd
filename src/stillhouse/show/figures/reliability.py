"""Reliability diagram: the accuracy of predictions by their confidence, one panel per method."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stillhouse.represent.measures.ece import BINS, binned, calibration_error
from stillhouse.show.figures.drawn import Drawn, Tables, caption, headline, settled
from stillhouse.show.figures.extracted import by_arm, seeds_of
from stillhouse.show.figures.panels import narrow, numbers, panels
from stillhouse.show.figures.style import PRINT, PURE, Look

FEWEST = 20  # predictions in a bin whose accuracy is drawn
READING = (
    "predictions of all seeds are sorted by their confidence (the largest probability) into 15 "
    f"bins; a mark is the accuracy in a bin with at least {FEWEST} of them. On the dotted diagonal "
    "confidence is right; below it the network is too sure of itself, above it not sure enough. "
    "Bars are the share of predictions in each bin: where the bars are small, a mark far off the "
    "diagonal hardly matters. The thin grey line is the pure student. ECE is the mean over seeds "
    "of the expected calibration error."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw the arms of a dataset. Raises NothingToDraw."""
    rows, errors = [], {}
    for arm, role, runs in by_arm(tables, dataset):
        parts = [binned(one.logits.astype(np.float64), one.labels) for one in runs]
        bins, confidence, right = (np.concatenate(side) for side in zip(*parts, strict=True))
        counts = np.bincount(bins, minlength=BINS)
        errors[arm] = 100 * float(
            np.mean([calibration_error(one.logits.astype(np.float64), one.labels) for one in runs])
        )
        for at in np.flatnonzero(counts):
            rows.append(
                {
                    "arm": arm,
                    "role": role,
                    "n": len(runs),
                    "bin": int(at) + 1,
                    "predictions": int(counts[at]),
                    "share": counts[at] / len(bins),
                    "confidence": float(confidence[bins == at].mean()),
                    "accuracy": float(right[bins == at].mean()),
                    "ece": errors[arm],
                }
            )
    data = pd.DataFrame(rows)
    return Drawn(
        _figure(data, errors, tables.looks(), tables.label(dataset)),
        data,
        caption(
            "Accuracy of predictions by their confidence.",
            tables,
            dataset,
            seeds_of(data),
            READING,
        ),
    )


def _title(data: pd.DataFrame, errors: Mapping[str, float], dataset: str) -> str:
    roles = data.drop_duplicates("arm").set_index("arm")["role"]
    pure = [errors[str(arm)] for arm in roles[roles == "pure"].index]
    methods = {str(arm): errors[str(arm)] for arm in roles[roles == "method"].index}
    if not methods or len(pure) != 1:
        worst = max(errors, key=lambda arm: errors[arm])
        return f"{dataset}: the largest calibration error is {errors[worst]:.1f} %, {worst}"
    best, worst = (pick(methods, key=lambda arm: methods[arm]) for pick in (min, max))
    ends = f"{methods[best]:.1f} % ({best})"
    if worst != best:
        ends += f" to {methods[worst]:.1f} % ({worst})"
    return f"{dataset}: calibration error of pure {pure[0]:.1f} %, of methods {ends}"


def _figure(
    data: pd.DataFrame, errors: Mapping[str, float], looks: Mapping[str, Look], dataset: str
) -> Figure:
    pure = data[(data["role"] == "pure") & (data["predictions"] >= FEWEST)]
    with matplotlib.rc_context(PRINT):
        figure, grid = panels(len(errors), above=0.4)
        for axes, arm in zip(grid, errors, strict=True):
            axes.plot([0, 1], [0, 1], ":", color=PURE, linewidth=0.8)
            for _, own in pure.groupby("arm"):
                axes.plot(own["confidence"], own["accuracy"], color=PURE, linewidth=0.8)
            _panel(axes, data[data["arm"] == arm], looks[arm])
            axes.set_title(f"{narrow(arm, len(errors))}\nECE {errors[arm]:.1f} %")
        grid[0].set_xlim(0, 1)
        grid[0].set_ylim(0, 1.04)
        for axis in (grid[0].xaxis, grid[0].yaxis):
            axis.set_ticks([0, 0.5, 1], labels=["0", "0.5", "1"])
        figure.supxlabel("confidence", fontsize=8)
        figure.supylabel("accuracy; bars: share of predictions", fontsize=8)
        headline(figure, _title(data, errors, dataset))
        return settled(figure)


def _panel(axes: Axes, own: pd.DataFrame, look: Look) -> None:
    left = (numbers(own["bin"]) - 1) / BINS
    axes.bar(left, numbers(own["share"]), 1 / BINS, align="edge", color=look.colour, alpha=0.25)
    some = own[own["predictions"] >= FEWEST]
    axes.plot(
        some["confidence"], some["accuracy"], look.marker, color=look.colour, ms=3.5, clip_on=False
    )
    axes.plot(some["confidence"], some["accuracy"], color=look.colour, linewidth=1)
