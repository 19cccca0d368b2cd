"""Fidelity against accuracy, with the agreement that independent errors would give."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from stillhouse.show.figures.drawn import (
    Drawn,
    NothingToDraw,
    Tables,
    caption,
    headline,
    label_ends,
    settled,
)
from stillhouse.show.figures.style import DOUBLE, PRINT, PURE, Look

READING = (
    "each mark is a run: its test accuracy, and the share of test images on which it predicts its "
    "teacher's class (a pure student: the class of the teacher of its seed's students). The curve "
    "is what two networks with independent errors would share at these accuracies; where it lies "
    "far below all runs, its values are written instead. Everything "
    "lies above it, because some images are hard for all networks: the pure student is the "
    "control. A method above it at equal accuracy copies its teacher; one further right on the "
    "pure student's level is better without copying. Both axes are zoomed."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw all runs of a dataset that have a teacher. Raises NothingToDraw."""
    measures, runs = tables.measures, tables.valid(dataset)
    agreement = measures[
        (measures["measure"] == "agreement")
        & measures["kind"].isin(["own_teacher", "pure_teacher"])
        & measures["value"].notna()
    ]
    found = agreement[["run", "teacher", "value"]].rename(
        columns={"teacher": "teacher_run", "value": "agreement"}
    )
    found = found.merge(runs[["run", "arm", "role", "seed", "accuracy"]], on="run")
    teachers = runs.set_index("run")["accuracy"]
    found = found.assign(teacher_accuracy=found["teacher_run"].map(teachers))
    if found.empty:
        raise NothingToDraw("no valid run was compared with a teacher")
    return Drawn(
        _figure(found, tables.classes[dataset], tables.looks(), tables.label(dataset)),
        found,
        caption(
            "Agreement with the teacher against test accuracy, one mark per run.",
            tables,
            dataset,
            [int(n) for n in found.groupby("arm")["run"].nunique()],
            READING,
        ),
    )


def _title(found: pd.DataFrame, dataset: str) -> str:
    means = found.groupby(["role", "arm"])["agreement"].mean()
    if "pure" not in means.index.get_level_values(0):
        return f"{dataset}: agreement with the teacher"
    pure = float(means["pure"].mean())
    methods = means["method"] if "method" in means.index.get_level_values(0) else means[:0]
    above = int((methods > pure).sum())
    return (
        f"{dataset}: {above} of {len(methods)} methods agree with their teacher more than the "
        f"pure student ({pure:.1f} %)"
    )


def _figure(found: pd.DataFrame, classes: int, looks: Mapping[str, Look], dataset: str) -> Figure:
    means = found.groupby("arm", sort=False)[["accuracy", "agreement"]].mean()
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, max(3.2, 0.24 * len(means) + 1.4)))
        axes = figure.add_subplot()
        for arm, own in found.groupby("arm", sort=False):
            look = looks[str(arm)]
            axes.plot(
                own["accuracy"], own["agreement"], look.marker, color=look.colour, ms=4, alpha=0.6
            )
        spare = max(0.5, 0.08 * float(np.ptp(found["accuracy"])))
        low, high = found["accuracy"].min() - spare, found["accuracy"].max() + spare
        teacher = found["teacher_accuracy"].mean() / 100
        axes.set_xlim(low, min(high, 100))
        near = False
        if np.isfinite(teacher):
            x = np.linspace(*axes.get_xlim(), 50)
            by_chance = x * teacher + (100 - x) * (1 - teacher) / (classes - 1)
            room = max(2.0, float(np.ptp(found["agreement"])))
            near = bool(found["agreement"].min() - by_chance[-1] < room)
            if near:
                axes.plot(x, by_chance, color=PURE, linestyle=":")
            else:  # it would press the runs into a corner
                span = f"{by_chance[0]:.0f} to {by_chance[-1]:.0f} %"
                text = f"independent errors: {span}, below this axis"
                place = (0.99, 0.02)
                axes.text(
                    *place, text, ha="right", color=PURE, fontsize=7.5, transform=axes.transAxes
                )
        axes.set_xlabel("test accuracy (%); axes zoomed")
        axes.set_ylabel("agreement with the teacher (%)")
        headline(figure, _title(found, dataset))
        figure.draw_without_rendering()  # so that the panel has its place
        ends = [
            (float(row["agreement"]), str(arm), looks[str(arm)].colour)
            for arm, row in means.iterrows()
        ]
        if near:
            ends.append((float(by_chance[-1]), "independent errors", PURE))
        label_ends(axes, ends)
        return settled(figure)
