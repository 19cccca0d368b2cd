"""Confusion matrices: which classes are taken for which, and what distillation changes in it."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from stillhouse.represent.classes import confusion
from stillhouse.represent.store import Rows
from stillhouse.show.figures.drawn import Drawn, Tables, caption, headline, settled
from stillhouse.show.figures.extracted import by_arm
from stillhouse.show.figures.panels import LARGE, narrow, panels
from stillhouse.show.figures.style import PRINT

MOST = 20  # classes in a panel
BESIDE = 1.5  # inches for two colour bars
READING = (
    "rows are classes, columns what they are taken for; right answers (the diagonal) are left "
    "out. In panels of teacher and pure student a cell is the share of the class's images, mean "
    "over seeds; in a method's panel it is the difference to the pure student in points: red "
    "where the method makes this mistake more often, blue where less often. {some}All panels of "
    "one kind share one scale."
)
SOME = "Shown are the {count} of {all} classes that {arm} gets wrong most often. "
Floats = NDArray[np.float64]


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw the arms of a dataset. Raises NothingToDraw."""
    count, found, roles, seeds = tables.classes[dataset], {}, {}, {}
    for arm, role, runs in by_arm(tables, dataset):
        shares = [_shares(one, count) for one in runs]
        found[arm], roles[arm], seeds[arm] = np.mean(shares, axis=0), role, len(runs)
    control = next((arm for arm in found if roles[arm] == "pure"), None)
    first = control or next(iter(found))
    chosen = _chosen(found[first])
    part = {arm: matrix[np.ix_(chosen, chosen)] for arm, matrix in found.items()}
    shown = {
        arm: matrix - part[control] if control and roles[arm] == "method" else matrix
        for arm, matrix in part.items()
    }
    for matrix in shown.values():
        np.fill_diagonal(matrix, np.nan)
    some = SOME.format(count=len(chosen), all=count, arm=first) if len(chosen) < count else ""
    return Drawn(
        _figure(shown, roles, control, chosen, tables.label(dataset)),
        _data(shown, roles, seeds, control, chosen),
        caption(
            "Share of each class's images that is taken for another class, in percent.",
            tables,
            dataset,
            [*seeds.values()],
            READING.format(some=some),
        ),
    )


def _shares(rows: Rows, classes: int) -> Floats:
    """Percent of the images of a class (row) that get a class (column); 0 without images."""
    counts = confusion(rows.logits.argmax(axis=1), rows.labels, classes)
    shares: Floats = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def _chosen(matrix: Floats) -> NDArray[np.int64]:
    """The classes that are shown, in their order: those with most mistakes, if there are many."""
    wrong = matrix.sum(axis=1) - np.diag(matrix)
    return np.sort(np.argsort(-wrong, kind="stable")[:MOST])


def _data(
    shown: Mapping[str, Floats],
    roles: Mapping[str, str],
    seeds: Mapping[str, int],
    control: str | None,
    chosen: NDArray[np.int64],
) -> pd.DataFrame:
    rows = [
        {
            "arm": arm,
            "n": seeds[arm],
            "quantity": "difference to pure" if _differs(arm, roles, control) else "share",
            "class": int(chosen[i]),
            "taken_for": int(chosen[j]),
            "percent": float(value),
        }
        for arm, matrix in shown.items()
        for (i, j), value in np.ndenumerate(matrix)
        if i != j
    ]
    return pd.DataFrame(rows)


def _differs(arm: str, roles: Mapping[str, str], control: str | None) -> bool:
    return control is not None and roles[arm] == "method"


def _title(
    shown: Mapping[str, Floats],
    roles: Mapping[str, str],
    control: str | None,
    chosen: NDArray[np.int64],
    dataset: str,
) -> str:
    first = control or next(iter(shown))
    row, column, value = _largest(shown[first])
    name = "the pure student" if control else first
    text = f"{dataset}: {name} takes {value:.1f} % of class {chosen[row]} for {chosen[column]}"
    methods = {arm: shown[arm] for arm in shown if _differs(arm, roles, control)}
    if not methods:
        return text
    arm = max(methods, key=lambda name: abs(_largest(methods[name])[2]))
    row, column, value = _largest(methods[arm])
    change = f"{value:+.1f} points, {arm}, {chosen[row]} for {chosen[column]}"
    return f"{text}; the largest change is {change}"


def _largest(matrix: Floats) -> tuple[int, int, float]:
    """The place and value of the entry of largest size, the diagonal left out."""
    place = int(np.nanargmax(np.abs(matrix)))
    row, column = divmod(place, matrix.shape[1])
    return row, column, float(matrix[row, column])


def _figure(
    shown: Mapping[str, Floats],
    roles: Mapping[str, str],
    control: str | None,
    chosen: NDArray[np.int64],
    dataset: str,
) -> Figure:
    kinds = {arm: _differs(arm, roles, control) for arm in shown}
    limits = {
        kind: max(
            [float(np.nanmax(np.abs(shown[arm]))) for arm in shown if kinds[arm] is kind] + [1e-6]
        )
        for kind in (False, True)
    }
    with matplotlib.rc_context(PRINT):
        figure, grid = panels(len(shown), beside=BESIDE)
        images: dict[bool, AxesImage] = {}
        for axes, (arm, matrix) in zip(grid, shown.items(), strict=True):
            images[kinds[arm]] = _map(axes, matrix, kinds[arm], limits[kinds[arm]])
            axes.set_title(narrow(arm, len(shown), BESIDE))
        places = range(0, len(chosen), 1 if len(chosen) <= 10 and len(shown) <= LARGE else 5)
        names = [str(chosen[place]) for place in places]
        grid[0].set_xticks(places, names)
        grid[0].set_yticks(places, names)
        labels = {False: "% of the class", True: "points more than pure"}
        for kind, image in images.items():
            bar = figure.colorbar(image, ax=grid, fraction=0.025, pad=0.03)
            bar.set_label(labels[kind])
        figure.supxlabel("taken for class", fontsize=8)
        figure.supylabel("class", fontsize=8)
        headline(figure, _title(shown, roles, control, chosen, dataset))
        return settled(figure)


def _map(axes: Axes, matrix: Floats, differs: bool, limit: float) -> AxesImage:
    axes.set_facecolor("#DDDDDD")
    low, colours = (-limit, "RdBu_r") if differs else (0.0, "Greys")
    image = axes.imshow(matrix, cmap=colours, vmin=low, vmax=limit)
    axes.tick_params(length=1.5)
    for side in axes.spines.values():
        side.set_visible(False)
    return image
