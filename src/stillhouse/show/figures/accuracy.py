"""Test accuracy by method: every seed a mark, mean and sample standard deviation as a bar."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stillhouse.show.figures.drawn import Drawn, NothingToDraw, Tables, caption, headline, settled
from stillhouse.show.figures.panels import in_order
from stillhouse.show.figures.style import DOUBLE, PRINT, PURE, Look
from stillhouse.stats.summary import Summary, summarise

BELOW = 0.3  # of a row: where the seeds are, so that the bar hides none
READING = (
    "each small mark is a run, the vertical stroke the mean over seeds, the bar one sample "
    "standard deviation to each side (from three seeds on; it is no interval of the mean). The "
    "dashed line is the mean of the pure student. The axis is zoomed to the data: look at the "
    "numbers beside it before you call a gap large, and at the forest plot for differences."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw the arms of a dataset, teachers first. Raises NothingToDraw."""
    runs = tables.of(dataset)
    valid = runs[runs["valid"]]
    if valid.empty:
        raise NothingToDraw("no run is completed and valid")
    data = pd.DataFrame([_row(runs, arm) for arm in in_order(runs["arm"])])
    return Drawn(
        _figure(data, valid, tables, tables.label(dataset)),
        data.drop(columns="summary"),
        caption(
            "Test accuracy, one row per method.",
            tables,
            dataset,
            [int(n) for n in data["n"] if n],
            READING,
        ),
    )


def _row(runs: pd.DataFrame, arm: str) -> dict[str, object]:
    own = runs[runs["arm"] == arm]
    valid = own[own["valid"]]
    found = summarise([float(value) for value in valid["accuracy"]])
    return {
        "arm": arm,
        "role": own["role"].iloc[0],
        "n": found.n,
        "mean": found.mean,
        "sd": found.std,
        "seeds": " ".join(f"{value:.6g}" for value in valid["accuracy"]),
        "not_drawn": _others(own[~own["valid"]]),
        "summary": found,
    }


def _others(left: pd.DataFrame) -> str:
    """What became of the runs that do not count: `2 failed, 1 not valid (10.00 %)`."""
    states = [
        f"not valid ({accuracy:.2f} %)" if state == "done" else str(state)
        for state, accuracy in zip(left["state"], left["accuracy"], strict=True)
    ]
    return ", ".join(f"{count} {state}" for state, count in Counter(states).items())


def _title(data: pd.DataFrame, dataset: str) -> str:
    methods = data[(data["role"] == "method") & (data["n"] > 0)]
    pure = data[(data["role"] == "pure") & (data["n"] > 0)]
    if methods.empty or len(pure) != 1:
        best = data.iloc[int(data["mean"].astype(float).argmax())]
        return f"{dataset}: {best['arm']} has the highest mean, {best['mean']:.2f} %"
    best = methods.iloc[int(methods["mean"].astype(float).argmax())]
    return (
        f"{dataset}: the highest mean of a method is {best['mean']:.2f} %, {best['arm']}; "
        f"pure {pure['mean'].iloc[0]:.2f} %"
    )


def _figure(data: pd.DataFrame, valid: pd.DataFrame, tables: Tables, dataset: str) -> Figure:
    looks: Mapping[str, Look] = tables.looks()
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, 0.24 * len(data) + 0.8))
        axes = figure.add_subplot()
        pure = valid[valid["role"] == "pure"]
        if len(set(pure["arm"])) == 1:
            mean = float(pure["accuracy"].mean())
            axes.axvline(mean, color=PURE, linewidth=0.8, linestyle="--", zorder=0)
        for row, one in enumerate(data.to_dict("records")):
            values = valid[valid["arm"] == one["arm"]]["accuracy"]
            _draw(axes, row, [*values], one["summary"], looks[one["arm"]], one["not_drawn"])
        axes.set_yticks(range(len(data)), [*data["arm"]])
        axes.set_ylim(len(data) - 0.4, -0.6)
        dashed = "; dashed: pure student" if len(set(pure["arm"])) == 1 else ""
        axes.set_xlabel(f"test accuracy, {tables.which} epoch (%); axis zoomed{dashed}")
        headline(figure, _title(data, dataset))
        return settled(figure)


def _draw(
    axes: Axes, row: int, values: list[float], found: Summary, look: Look, others: str
) -> None:
    """A row: the mean, from three seeds on the standard deviation, and below them the seeds."""
    if values:
        axes.plot(
            values,
            [row + BELOW] * len(values),
            look.marker,
            color=look.colour,
            ms=3.5,
            alpha=0.55,
            mew=0,
        )
        assert found.mean is not None
        axes.vlines(found.mean, row - 0.2, row + 0.2, color=look.colour, linewidth=1.4)
        if found.std is not None:
            ends = [found.mean - found.std, found.mean + found.std]
            axes.plot(ends, [row, row], color=look.colour, linewidth=1.2)
    text = f"{found.text()} (n = {found.n})" if values else "no valid run"
    axes.annotate(
        f"{text}; {others}" if others else text,
        (1.02, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=7.5,
        annotation_clip=False,
    )
