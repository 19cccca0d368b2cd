"""Test accuracy by method: every seed a dot, mean and sample standard deviation as a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stillhouse.figures.style import COLOURS, MARKERS, PURE, SETTINGS, TEACHER
from stillhouse.stats.arms import Arm


@dataclass(frozen=True)
class Look:
    """Colour and marker of an arm."""

    colour: str
    marker: str


def accuracy_figure(title: str, arms: Sequence[Arm]) -> Figure:
    """One row per arm, in the order of the table; the axis is zoomed to the data and says so."""
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(6.4, 0.42 * len(arms) + 1.3))
        axes = figure.add_subplot()
        for row, (arm, look) in enumerate(zip(arms, _looks(arms), strict=True)):
            _draw(axes, row, arm, look)
        pure = next((arm.summary.mean for arm in arms if arm.role == "pure"), None)
        if pure is not None:
            axes.axvline(pure, color=PURE, linewidth=0.8, linestyle="--", zorder=0)
        axes.set_yticks(range(len(arms)), [arm.label for arm in arms])
        axes.set_ylim(len(arms) - 0.4, -0.6)
        axes.set_xlabel("test accuracy, final epoch (%); axis zoomed; dashed: pure student's mean")
        axes.set_title(title, fontsize=10)
        return figure


def _draw(axes: Axes, row: int, arm: Arm, look: Look) -> None:
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
    if arm.summary.mean is None:
        axes.text(0.02, row, "no completed run", transform=axes.get_yaxis_transform(), va="center")
        return
    axes.errorbar(
        arm.summary.mean, row, xerr=arm.summary.std, color=look.colour, capsize=3, linewidth=1.4
    )
    axes.annotate(
        arm.summary.text() or "",
        (1.01, row),
        xycoords=("axes fraction", "data"),
        va="center",
        fontsize=8,
        annotation_clip=False,
    )


def _looks(arms: Sequence[Arm]) -> list[Look]:
    looks, methods = [], 0
    for arm in arms:
        if arm.role == "method":
            looks.append(Look(COLOURS[methods % len(COLOURS)], MARKERS[methods % len(MARKERS)]))
            methods += 1
        else:
            looks.append(Look(TEACHER if arm.role == "teacher" else PURE, "o"))
    return looks
