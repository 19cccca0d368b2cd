"""Status grid: the state of every run, one row per method, one column per seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from stillhouse.show.figures.drawn import Drawn, NothingToDraw, Tables, caption, headline, settled
from stillhouse.show.figures.panels import in_order
from stillhouse.show.figures.style import DOUBLE, PRINT, SINGLE, STATES, TEACHER, Look
from stillhouse.show.report.pictures import SYMBOLS, WORDS

WIDE = 6  # seeds in a figure one column wide
READING = (
    "each mark is a run. A filled mark is a run that counts: completed, and better than guessing; "
    "no other run enters any other figure. A run that is completed and not valid ended at an "
    "accuracy that guessing reaches. The numbers of all states add up to the planned runs."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw all planned runs of a dataset. Raises NothingToDraw."""
    runs = tables.of(dataset)
    if runs.empty:
        raise NothingToDraw("no run is planned")
    states = ["at chance" if s == "done" else s for s in runs["state"]]
    words = [
        "valid" if valid else WORDS[SYMBOLS[state]]
        for valid, state in zip(runs["valid"], states, strict=True)
    ]
    data = runs[["run", "arm", "seed", "state"]].assign(shown=words)
    return Drawn(
        _figure(data, tables.looks(), tables.label(dataset)),
        data,
        caption(
            f"State of every run: {_counted(words)}, of {len(words)} planned.",
            tables,
            dataset,
            [int(n) for n in data.groupby("arm")["seed"].nunique()],
            READING,
        ),
    )


def _counted(words: list[str]) -> str:
    """How many runs are in each state, in the order of the legend: `21 valid, 3 failed`."""
    counts = Counter(words)
    order = dict.fromkeys(WORDS.values())
    return ", ".join(f"{counts[word]} {word}" for word in order if counts[word])


def _figure(data: pd.DataFrame, looks: Mapping[str, Look], dataset: str) -> Figure:
    arms, seeds = in_order(data["arm"]), sorted(set(data["seed"]))
    width = SINGLE if len(seeds) <= WIDE else DOUBLE
    used = [word for word in dict.fromkeys(WORDS.values()) if word in set(data["shown"])]
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(width, 0.2 * len(arms) + 0.95 + 0.17 * ((len(used) + 1) // 2)))
        axes = figure.add_subplot()
        for one in data.to_dict("records"):
            place = (seeds.index(one["seed"]), arms.index(one["arm"]))
            _mark(axes, place, str(one["shown"]), looks[one["arm"]])
        axes.set_xticks(range(len(seeds)), [str(seed) for seed in seeds])
        axes.set_yticks(range(len(arms)), arms)
        axes.set_xlim(-0.5, len(seeds) - 0.5)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.tick_params(length=0)
        axes.set_xlabel("seed")
        for side in axes.spines.values():
            side.set_visible(False)
        figure.legend(
            handles=[_handle(word) for word in used],
            loc="outside lower center",
            ncols=2 if width == SINGLE else 6,
            frameon=False,
        )
        valid = int((data["shown"] == "valid").sum())
        headline(figure, f"{dataset}: {valid} of {len(data)} runs valid")
        return settled(figure)


def _mark(axes: Axes, place: tuple[int, int], shown: str, look: Look) -> None:
    x, y = place
    if shown == "valid":
        axes.plot([x], [y], look.marker, color=look.colour, ms=5)
    else:
        state = STATES[shown]
        axes.plot([x], [y], marker=state.marker, color=state.colour, ms=5, mfc="none")


def _handle(word: str) -> Line2D:
    if word == "valid":
        return Line2D([], [], marker="o", color=TEACHER, linestyle="none", label=word)
    state = STATES[word]
    return Line2D(
        [], [], marker=state.marker, color=state.colour, mfc="none", linestyle="none", label=word
    )
