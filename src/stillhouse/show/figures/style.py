"""The look of every figure: colours that survive colour blindness, each with its own marker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Okabe and Ito's palette; black and grey are kept for the teacher and the pure student.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00")
MARKERS = ("o", "s", "^", "D", "v", "P")
TEACHER, PURE = "#000000", "#777777"
SETTINGS: Any = {  # matplotlib types its keys one by one, by version
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "figure.constrained_layout.use": True,
    "savefig.dpi": 160,
    "svg.hashsalt": "stillhouse",
}


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the path's suffix; a PNG has 160 dpi."""
    with matplotlib.rc_context(SETTINGS):  # resolution and salt are read when it is written
        figure.savefig(path)
