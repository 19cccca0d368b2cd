"""Small multiples: one panel per arm, few and large or many and small."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from math import ceil
from textwrap import fill

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stillhouse.show.figures.style import DOUBLE

FEW, MANY = 4, 6  # panels in a row, up to and above `LARGE` panels
LARGE = 12
HIGHEST = 2.2  # inches of a panel
AROUND = 0.9  # inches of what stands above and below all panels
LETTER = 0.07  # inches of a letter in a title


def panels(count: int, above: float = 0.25, beside: float = 0.0) -> tuple[Figure, list[Axes]]:
    """Return a figure two columns wide and its square panels, which share both axes.

    `above` is the room for a panel's title, `beside` for colour bars, in inches.
    """
    columns = _columns(count)
    rows = ceil(count / columns)
    above += 0.0 if count <= LARGE else 0.2  # narrow titles have more lines
    side = min((DOUBLE - 0.6 - beside) / columns - 0.12, HIGHEST)
    figure = Figure(figsize=(DOUBLE, rows * (side + above) + AROUND))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    every: Sequence[Axes] = [*grid.flat]
    for axes in every[count:]:
        axes.set_axis_off()
    for axes in every[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)
    return figure, [*every[:count]]


def narrow(text: str, count: int, beside: float = 0.0) -> str:
    """Return a title of one of `count` panels in as many lines as it needs."""
    letters = int((DOUBLE - 0.6 - beside) / _columns(count) / LETTER)
    return fill(text, letters, break_long_words=False)


def _columns(count: int) -> int:
    return min(count, FEW) if count <= LARGE else MANY


def base(arm: str) -> str:
    """Return the name of an arm without the values of swept axes."""
    return re.sub(r"( \w+=\S+)+$", "", arm)


def in_order(arms: Iterable[object]) -> list[str]:
    """Return the names of arms, each once, in the order in which they appear."""
    return [*dict.fromkeys(map(str, arms))]


def by_layer(names: Iterable[str]) -> list[str]:
    """Return the names of layers from input to output: `layer10` after `layer9`."""
    return sorted(set(names), key=lambda name: [int(n) for n in re.findall(r"\d+", name)])


def numbers(values: pd.Series) -> NDArray[np.float64]:
    """Return a column as an array; a missing value is NaN."""
    return values.to_numpy(dtype=np.float64, na_value=np.nan)
