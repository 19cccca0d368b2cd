"""The look of every figure: colours that survive colour blindness, each with its own marker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Okabe and Ito's palette; black and grey are kept for the teacher and the pure student.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P")
TEACHER, PURE = "#000000", "#777777"
SINGLE, DOUBLE = 3.3, 6.9  # widths of one and of two columns of a paper, in inches
SMALLEST = 7  # points
# For print: nothing below `SMALLEST`, everything a little smaller than on a screen.
PRINT: Any = {
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "svg.hashsalt": "stillhouse",
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "figure.titlesize": 9,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 4.5,
    # Laid out at the resolution of the pictures: text is wider or narrower at another.
    "figure.dpi": 300,
    "savefig.dpi": 300,
    "figure.constrained_layout.w_pad": 0.06,
    "figure.constrained_layout.h_pad": 0.05,
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
}


@dataclass(frozen=True)
class Look:
    """Colour and marker of an arm."""

    colour: str
    marker: str


# Runs that do not count, by the words of the report's grid; open marks, in no method's colour.
STATES = {
    "running": Look(TEACHER, "o"),
    "interrupted": Look(TEACHER, "_"),
    "not started": Look(PURE, "."),
    "not valid": Look(TEACHER, "$!$"),
    "failed": Look(TEACHER, "x"),
}


def looks(methods: Iterable[str]) -> dict[str, Look]:
    """The look of each method by its name, the same in all figures of a round.

    Colours repeat after six methods, each time with other markers; pure students are grey.
    """
    others = sorted(set(methods) - {"pure"})
    count = len(COLOURS)
    found = {
        name: Look(COLOURS[i % count], MARKERS[(i + i // count) % count])
        for i, name in enumerate(others)
    }
    return {**found, "pure": Look(PURE, "o")}
