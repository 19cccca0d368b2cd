"""Test accuracy by method: every seed a dot, mean and sample standard deviation as a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stillhouse.show.figures.style import COLOURS, MARKERS, PURE, SETTINGS, TEACHER
from stillhouse.stats.arms import SHOWN, Arm


@dataclass(frozen=True)
class Look:
    """Colour and marker of an arm."""

    colour: str
    marker: str


def accuracy_figure(title: str, arms: Sequence[Arm]) -> Figure:
    """One row per arm, in the order of the table; the axis is zoomed to the data and says so."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 0.42 * len(arms) + 1.4))
        axes = figure.add_subplot()
        for row, (arm, look) in enumerate(zip(arms, _looks(arms), strict=True)):
            if arm.values:
                _draw(axes, row, arm, look)
            else:
                _draw_missing(axes, row, arm)
        pure = next((arm.summary.mean for arm in arms if arm.role == "pure"), None)
        if pure is not None:
            axes.axvline(pure, color=PURE, linewidth=0.8, linestyle="--", zorder=0)
        if not any(arm.values for arm in arms):
            axes.set_xlim(0, 100)
        axes.set_yticks(range(len(arms)), [arm.label for arm in arms])
        axes.set_ylim(len(arms) - 0.4, -0.6)
        axes.set_xlabel(_axis_label(arms))
        axes.set_title(title, fontsize=10)
        return figure


def _draw(axes: Axes, row: int, arm: Arm, look: Look) -> None:
    """Every seed a dot, the mean a line, from three seeds on the standard deviation a bar."""
    offsets = [row + 0.12 * (i - (len(arm.values) - 1) / 2) for i in range(len(arm.values))]
    axes.plot(
        arm.values,
        offsets,
        look.marker,
        color=look.colour,
        markersize=5,
        alpha=0.55,
        markeredgewidth=0,
        linestyle="none",
    )
    mean, deviation = arm.summary.mean, arm.summary.std
    assert mean is not None
    axes.plot([mean], [row], "|", color=look.colour, markersize=11, markeredgewidth=1.4)
    if deviation is not None:
        axes.errorbar(mean, row, xerr=deviation, color=look.colour, capsize=3, linewidth=1.4)
    others = f"\n{arm.others}" if arm.others else ""
    axes.annotate(
        f"{arm.summary.text()} (n = {len(arm.values)}){others}",
        (1.01, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=8,
        annotation_clip=False,
    )


def _draw_missing(axes: Axes, row: int, arm: Arm) -> None:
    """What became of the runs of an arm that has no accuracy, over any line that crosses it."""
    axes.text(
        0.02,
        row,
        f"no valid run: {arm.others}",
        transform=axes.get_yaxis_transform(),
        va="center",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def _axis_label(arms: Sequence[Arm]) -> str:
    """What the axis shows, and how to read the marks that are drawn."""
    label = f"test accuracy, {SHOWN[arms[0].which]} (%)"
    if not any(arm.values for arm in arms):
        return label
    marks = ["dot: a seed", "line: mean"]
    if any(arm.summary.std is not None for arm in arms):
        marks.append("bar: sample standard deviation")
    if any(arm.role == "pure" and arm.values for arm in arms):
        marks.append("dashed: pure student's mean")
    return f"{label}; axis zoomed\n{'; '.join(marks)}"


def _looks(arms: Sequence[Arm]) -> list[Look]:
    looks, methods = [], 0
    for arm in arms:
        if arm.role == "method":
            looks.append(Look(COLOURS[methods % len(COLOURS)], MARKERS[methods % len(MARKERS)]))
            methods += 1
        else:
            looks.append(Look(TEACHER if arm.role == "teacher" else PURE, "o"))
    return looks
