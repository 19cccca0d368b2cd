"""Sweep of a parameter: accuracy over its values, one line per method, with the controls."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stillhouse.show.figures.drawn import (
    INTERVAL,
    Drawn,
    NothingToDraw,
    Tables,
    caption,
    headline,
    label_ends,
    settled,
)
from stillhouse.show.figures.panels import base, in_order
from stillhouse.show.figures.style import DOUBLE, PRINT, PURE, TEACHER
from stillhouse.stats.columns import AXIS
from stillhouse.stats.inference import mean_interval

AT_ZERO = "alpha"  # the axis at whose 0 a student is a pure one
APART = 0.01  # of the span of values, between the intervals of two lines
READING = (
    "each line is a method's mean over seeds at each value, small marks are seeds, vertical "
    "strokes are intervals (moved a little apart). Dotted lines are controls; grey is the pure "
    "student with its interval as a band, dashed black the teacher. A method without this "
    "parameter is a level line. A value inside the band is not shown to help. The best point of a "
    "line is chosen on the same test images: expect less of it on others. The vertical axis is "
    "zoomed."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw one panel per swept parameter. Raises NothingToDraw."""
    runs = tables.valid(dataset)
    swept = _axes(runs)
    if not swept:
        raise NothingToDraw("the round sweeps no parameter, or no swept run is valid")
    data = pd.concat([_points(runs, axis, tables.controls) for axis in swept])
    return Drawn(
        _figure(runs, data, swept, tables, tables.label(dataset)),
        data,
        caption(
            f"Test accuracy over the values of {' and '.join(swept)}. {INTERVAL}; fewer than "
            "three seeds have none.",
            tables,
            dataset,
            [int(n) for n in data["n"]],
            READING,
        ),
    )


def _axes(runs: pd.DataFrame) -> list[str]:
    """The parameters of which the valid runs have a value."""
    names = [str(name) for name in runs if str(name).startswith(AXIS)]
    return [name.removeprefix(AXIS) for name in names if runs[name].notna().any()]


def _points(runs: pd.DataFrame, axis: str, controls: frozenset[str]) -> pd.DataFrame:
    """Mean and interval per line and value; lines without the parameter have one row."""
    rows = []
    for arm in in_order(runs["arm"]):
        own = runs[runs["arm"] == arm]
        values = [float(value) for value in own["accuracy"]]
        low, high = mean_interval(values) or (None, None)
        given = own[f"{AXIS}{axis}"].iloc[0]
        rows.append(
            {
                "axis": axis,
                "line": base(arm) if pd.isna(given) else _line(arm, axis),
                "arm": arm,
                "role": own["role"].iloc[0],
                "control": own["method"].iloc[0] in controls,
                "value": None if pd.isna(given) else float(given),
                "n": len(values),
                "mean": sum(values) / len(values),
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(rows)


def _line(arm: str, axis: str) -> str:
    """The name of an arm without this parameter's value; other parameters stay."""
    name = base(arm)
    others = [part for part in arm.removeprefix(name).split() if not part.startswith(f"{axis}=")]
    return " ".join([name, *others])


def _title(data: pd.DataFrame, dataset: str) -> str:
    methods = data[(data["role"] == "method") & ~data["control"]]
    pure = data[data["role"] == "pure"]["mean"]
    if methods.empty:
        return f"{dataset}: only controls are completed"
    best = methods.iloc[int(methods["mean"].argmax())]
    beside = f" (pure {pure.mean():.2f} %)" if len(pure) else ""
    return f"{dataset}: highest mean {best['mean']:.2f} %, {best['arm']}{beside}"


def _figure(
    runs: pd.DataFrame, data: pd.DataFrame, swept: Sequence[str], tables: Tables, dataset: str
) -> Figure:
    lines = len(set(data["line"]))
    height = max(3.0, 0.17 * lines + 0.9)
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, len(swept) * height + 0.3))
        grid = figure.subplots(len(swept), 1, squeeze=False)[:, 0]
        ends = [
            _panel(axes, runs, data[data["axis"] == axis], axis, tables)
            for axes, axis in zip(grid, swept, strict=True)
        ]
        headline(figure, _title(data, dataset))
        figure.draw_without_rendering()  # so that panels have their place
        for axes, labels in zip(grid, ends, strict=True):
            label_ends(axes, labels)
        return settled(figure)


def _panel(
    axes: Axes, runs: pd.DataFrame, data: pd.DataFrame, axis: str, tables: Tables
) -> list[tuple[float, str, str]]:
    """Draw a panel; return (place, text, colour) of the labels at its right."""
    looks, column = tables.looks(), f"{AXIS}{axis}"
    ends: list[tuple[float, str, str]] = []
    lines = in_order(data["line"])
    span = float(data["value"].max() - data["value"].min()) or 1.0
    for place, line in enumerate(lines):
        own = data[data["line"] == line].sort_values("value")
        look, role = looks[str(own["arm"].iloc[0])], own["role"].iloc[0]
        style = ":" if own["control"].any() else "-"
        ends.append((float(own["mean"].iloc[-1]), line, look.colour))
        if own["value"].isna().any():
            _level(axes, own.iloc[0], look.colour, "--" if role == "teacher" else style)
            continue
        axes.plot(own["value"], own["mean"], style, color=look.colour, marker=look.marker)
        known, some = own[own["low"].notna()], runs[runs["arm"].isin(own["arm"])]
        aside = APART * span * (place - (len(lines) - 1) / 2)  # so that intervals stay apart
        x, seeds = known["value"] + aside, some[column].astype(float) + aside
        axes.vlines(x, known["low"], known["high"], color=look.colour, linewidth=0.8)
        axes.plot(seeds, some["accuracy"], look.marker, color=look.colour, ms=2, alpha=0.4, mew=0)
    pure = runs[runs["role"] == "pure"]
    if axis == AT_ZERO:
        if len(pure):
            axes.plot([0], [pure["accuracy"].mean()], "o", color=PURE)
        axes.set_xlim(left=0)
    axes.set_xlabel(f"{axis}; 0: pure student" if axis == AT_ZERO and len(pure) else axis)
    axes.set_ylabel("test accuracy (%); zoomed")
    return ends


def _level(axes: Axes, row: pd.Series, colour: str, style: str) -> None:
    """A line without the parameter; of the pure student its interval as a band."""
    if row["role"] == "pure" and pd.notna(row["low"]):
        axes.axhspan(row["low"], row["high"], color="#EEEEEE", zorder=0)
    shown = TEACHER if row["role"] == "teacher" else colour
    axes.axhline(row["mean"], color=shown, linestyle=style, linewidth=1, zorder=1)
