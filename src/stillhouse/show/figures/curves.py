"""Training curves: accuracy over the epochs, one panel per method, with what the doctor found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stillhouse.show.figures.drawn import Drawn, NothingToDraw, Tables, caption, headline, settled
from stillhouse.show.figures.panels import in_order, narrow, numbers, panels
from stillhouse.show.figures.style import PRINT, PURE, STATES, Look

SHOWN = 3  # causes named in the title
READING = (
    "each panel is a method: solid lines are test accuracy, one per seed, dashed lines training "
    "accuracy (with augmentation and as the epoch went on, so it may lie below); thin grey is the "
    "mean test accuracy of the pure students. A cross marks the epoch at which the doctor found "
    "something (`stillhouse doctor` explains it). Failed and invalid runs are drawn here as far "
    "as they came, and in no other figure but the status grid."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw all runs of a dataset that finished an epoch. Raises NothingToDraw."""
    runs = tables.of(dataset)
    if tables.epochs.empty or not set(tables.epochs["run"]) & set(runs["run"]):
        raise NothingToDraw("no run has finished an epoch")
    columns = ["run", "epoch", "train_accuracy", "test_accuracy"]
    found = tables.epochs[columns].merge(runs[["run", "arm", "role", "seed", "valid"]], on="run")
    arms = [arm for arm in in_order(runs["arm"]) if arm in set(found["arm"])]
    marks = _marks(tables, found)
    data = found.merge(marks, on=["run", "epoch"], how="left")
    return Drawn(
        _figure(found, marks, arms, tables.looks(), tables.label(dataset)),
        data,
        caption(
            f"Accuracy over the epochs. {_named(marks)}",
            tables,
            dataset,
            [int(n) for n in found.groupby("arm")["run"].nunique()],
            READING,
        ),
    )


def _marks(tables: Tables, found: pd.DataFrame) -> pd.DataFrame:
    """What the doctor found, one row per run and epoch, with the accuracy there."""
    if tables.marks.empty:
        return pd.DataFrame({"run": [], "epoch": [], "codes": []})
    marks = tables.marks[tables.marks["run"].isin(found["run"])]
    last = found.groupby("run")["epoch"].max()
    epoch = marks["epoch"].astype(float).clip(upper=marks["run"].map(last).astype(float))
    marks = marks.assign(epoch=epoch.astype(int))
    codes = marks.groupby(["run", "epoch"], sort=False)["code"].agg(", ".join)
    return codes.rename("codes").reset_index()


def _named(marks: pd.DataFrame) -> str:
    """A sentence with every marked run."""
    if marks.empty:
        return "The doctor found nothing."
    parts = [
        f"{run}: {codes} (epoch {epoch})"
        for run, epoch, codes in zip(marks["run"], marks["epoch"], marks["codes"], strict=True)
    ]
    more = f" and {len(parts) - 12} more" if len(parts) > 12 else ""
    return f"The doctor found: {'; '.join(parts[:12])}{more}."


def _title(found: pd.DataFrame, marks: pd.DataFrame, dataset: str) -> str:
    runs = found["run"].nunique()
    if marks.empty:
        return f"{dataset}: the doctor found nothing in the training of {runs} runs"
    counts = Counter(code for codes in marks["codes"] for code in codes.split(", "))
    parts = [f"{code} ({count})" for code, count in counts.most_common(SHOWN)]
    more = ", ..." if len(counts) > SHOWN else ""
    return f"{dataset}: {marks['run'].nunique()} of {runs} runs marked: {', '.join(parts)}{more}"


def _figure(
    found: pd.DataFrame,
    marks: pd.DataFrame,
    arms: list[str],
    looks: Mapping[str, Look],
    dataset: str,
) -> Figure:
    pure = found[(found["role"] == "pure") & found["valid"]]
    control = pure.groupby("epoch")["test_accuracy"].mean()
    with matplotlib.rc_context(PRINT):
        figure, grid = panels(len(arms))
        for axes, arm in zip(grid, arms, strict=True):
            axes.plot(control.index, numbers(control), color=PURE, linewidth=0.7)
            own = found[found["arm"] == arm]
            _panel(axes, own, marks[marks["run"].isin(own["run"])], looks[arm].colour)
            axes.set_title(narrow(arm, len(arms)))
        figure.supxlabel("epoch; grey: pure student", fontsize=8)
        figure.supylabel("accuracy (%): test solid, training dashed", fontsize=8)
        headline(figure, _title(found, marks, dataset))
        return settled(figure)


def _panel(axes: Axes, own: pd.DataFrame, marks: pd.DataFrame, colour: str) -> None:
    for run, epochs in own.groupby("run", sort=False):
        single = "." if len(epochs) == 1 else "None"  # one epoch makes no line
        x = numbers(epochs["epoch"])
        axes.plot(x, numbers(epochs["train_accuracy"]), "--", color=colour, lw=0.6, alpha=0.6)
        axes.plot(x, numbers(epochs["test_accuracy"]), color=colour, lw=1, ms=3, marker=single)
        at = epochs["epoch"].isin(marks[marks["run"] == run]["epoch"])
        state = STATES["failed"]
        axes.plot(
            x[at.to_numpy()],
            numbers(epochs["test_accuracy"])[at.to_numpy()],
            state.marker,
            color=state.colour,
            ms=5,
        )
