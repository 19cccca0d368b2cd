"""What a figure is made from, and what it leaves behind: pictures, plotted values, a caption."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import fill

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import AutoLocator, MaxNLocator
from scipy.optimize import isotonic_regression

from stillhouse.errors import some
from stillhouse.represent.store import Representations
from stillhouse.runs.files import write_atomic
from stillhouse.show.figures.style import PRINT, TEACHER, Look, looks
from stillhouse.stats.arms import COLUMN, Which

PICTURES = ("png", "svg", "pdf")
CKA = "Linear CKA"
INTERVAL = "Intervals are 95 % intervals of Student's t over seeds"
LABEL = 7.5  # points of a label beside a line
ORDER = {"teacher": 0, "pure": 1, "method": 2}


def _nothing(run: str) -> Representations | None:
    """Nothing is extracted."""
    return None


@dataclass(frozen=True)
class Tables:
    """The tables of a round (docs/tables.md), and what else figures are drawn from.

    `test_images`, `classes` and `labels` (names as readers know them) are by dataset. `paired` says
    whether runs of equal seed belong together, as in rounds trained here. `marks` are what the
    doctor found (columns run, epoch, code), `extracted` opens a run's extracted layers (None if
    there are none), `controls` are the methods that are controls, and `which` is the epoch whose
    accuracies are drawn.
    """

    round: str
    runs: pd.DataFrame
    measures: pd.DataFrame
    pairs: pd.DataFrame
    transfer: pd.DataFrame
    test_images: Mapping[str, int]
    classes: Mapping[str, int]
    paired: bool = True
    epochs: pd.DataFrame = field(default_factory=pd.DataFrame)
    marks: pd.DataFrame = field(default_factory=pd.DataFrame)
    extracted: Callable[[str], Representations | None] = _nothing
    controls: frozenset[str] = frozenset()
    which: Which = "final"
    labels: Mapping[str, str] = field(default_factory=dict)

    def label(self, dataset: str) -> str:
        """The name of a dataset as a reader knows it."""
        return self.labels.get(dataset, dataset)

    def of(self, dataset: str) -> pd.DataFrame:
        """The runs of a dataset, `valid` as a truth value."""
        runs = self.runs[self.runs["dataset"] == dataset].copy()
        runs["valid"] = runs["valid"].isin([True, "yes"]) & (runs["state"] == "done")
        runs["accuracy"] = runs[COLUMN[self.which]].astype(float)
        return runs.sort_values("role", key=lambda role: role.map(ORDER), kind="stable")

    def valid(self, dataset: str) -> pd.DataFrame:
        """The runs of a dataset that count: completed, and learned more than guessing reaches."""
        runs = self.of(dataset)
        return runs[runs["valid"]]

    def looks(self) -> dict[str, Look]:
        """The look of every arm of the round: black for teachers, else its method's; where a
        network learns a method from several teachers, each of them has a look of its own.
        """
        names = self.runs["method"].astype(str)
        several = self.runs.groupby(["method", "student"])["teacher"].transform("nunique") > 1
        names = names.where(~several, names + " " + self.runs["teacher"].astype(str))
        by_name = looks(names)
        arms = self.runs.assign(look=names).drop_duplicates("arm")
        return {
            str(arm): Look(TEACHER, "o") if role == "teacher" else by_name[str(name)]
            for arm, role, name in zip(arms["arm"], arms["role"], arms["look"], strict=True)
        }

    def excluded(self, dataset: str) -> str:
        """A sentence on the runs of a dataset that are not drawn."""
        runs = self.of(dataset)
        left = runs[~runs["valid"]]
        if left.empty:
            return "No run is excluded."
        parts = [
            f"{run} ({'completed, learned nothing' if state == 'done' else state})"
            for run, state in zip(left["run"], left["state"], strict=True)
        ]
        return f"Excluded: {len(parts)} of {len(runs)} runs: {some(parts, 6)}."


@dataclass(frozen=True)
class Drawn:
    """A figure, the values that it plots, and its caption (Markdown)."""

    figure: Figure
    data: pd.DataFrame
    caption: str


class NothingToDraw(Exception):
    """Raised where the tables lack what a figure shows; `reason` says what."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def write(drawn: Drawn, folder: Path, name: str, kinds: Iterable[str] = PICTURES) -> list[Path]:
    """Write NAME.png, .svg, .pdf, the plotted values (.csv) and the caption (.md)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{kind}" for kind in kinds]
    title = headline_of(drawn.figure)
    with matplotlib.rc_context(PRINT):
        for path in paths:
            undated: dict[str, str | None] = {"Date": None} if path.suffix == ".svg" else {}
            drawn.figure.savefig(path, metadata={"Title": title, **undated})
    texts = {"csv": drawn.data.to_csv(index=False), "md": drawn.caption + "\n"}
    for kind, text in texts.items():
        write_atomic(folder / f"{name}.{kind}", text.encode())
        paths.append(folder / f"{name}.{kind}")
    return paths


def headline_of(figure: Figure) -> str:
    """Return the title above a figure, or above its only panel, in one line."""
    panels = [axes.get_title(loc="left") for axes in figure.axes]
    return " ".join((figure.get_suptitle() or next(filter(None, panels), "")).split())


def caption(what: str, tables: Tables, dataset: str, seeds: Sequence[int], reading: str) -> str:
    """Return a caption: what is shown, N, seeds, exclusions, and how to read it."""
    few = f"{min(seeds)} to {max(seeds)}" if min(seeds) < max(seeds) else f"{max(seeds)}"
    plural = "" if few == "1" else "s"
    images = f"{tables.test_images[dataset]:,} test images"
    best = " Accuracies are those of the best epoch." if tables.which == "best" else ""
    return "\n\n".join(
        [
            f"{what} {tables.label(dataset)}, round {tables.round}: {images}, {few} seed{plural} "
            f"per method.{best}",
            tables.excluded(dataset),
            f"How to read it: {reading}",
        ]
    )


def headline(figure: Figure, text: str) -> None:
    """Put a title above a figure, from its left edge, in as many lines as it needs."""
    letters = int(14.3 * figure.get_size_inches()[0])
    figure.suptitle(fill(text, letters), x=0.01, ha="left")


def settled(figure: Figure) -> Figure:
    """Return the figure with its layout fixed.

    The number of ticks does not depend on the size of a panel, else layout and ticks change each
    other without an end.
    """
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_locator(), AutoLocator):
                axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    for _ in range(2):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure


def label_ends(axes: Axes, labels: Sequence[tuple[float, str, str]]) -> None:
    """Write (y, text, colour) beside the right edge, moved apart where they would overlap."""
    bottom, top = axes.get_ylim()
    height = axes.get_window_extent().height * 72 / axes.figure.dpi
    gap = 1.35 * LABEL / height * (top - bottom)
    places = spread([y for y, _, _ in labels], gap, bottom, top)
    for (y, text, colour), place in zip(labels, places, strict=True):
        axes.plot(
            [1.01, 1.05],
            [y, place],
            color=colour,
            linewidth=0.6,
            transform=axes.get_yaxis_transform(),
            clip_on=False,
        )
        axes.annotate(
            text,
            (1.06, place),
            xycoords=("axes fraction", "data"),
            color=colour,
            fontsize=LABEL,
            va="center",
            annotation_clip=False,
        )


def spread(values: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move values apart to at least `gap`, in their order, by the least sum of squares.

    They stay within low and high if there is room. (Isotonic regression of the values less what
    the gaps take.)
    """
    if not values:
        return []
    order = np.argsort(values, kind="stable")
    steps = gap * np.arange(len(values))
    fitted = isotonic_regression(np.asarray(values, dtype=float)[order] - steps).x
    fitted = np.maximum(np.minimum(fitted, high - steps[-1]), low)
    found = np.empty(len(values))
    found[order] = fitted + steps
    return [float(place) for place in found]


def signed(value: float) -> str:
    """Return a difference with sign and two decimals: `+0.12`, `-0.30`, `0.00`."""
    text = f"{value:+.2f}"
    return "0.00" if text in ("+0.00", "-0.00") else text
