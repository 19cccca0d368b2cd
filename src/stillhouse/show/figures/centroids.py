"""Class centroids of students and their teacher in one space, aligned on held-out rows."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from stillhouse.errors import DataError
from stillhouse.represent.alignment import Aligned, align
from stillhouse.show.figures.drawn import Drawn, NothingToDraw, Tables, caption, headline, settled
from stillhouse.show.figures.extracted import NOT_EXTRACTED
from stillhouse.show.figures.panels import narrow, panels
from stillhouse.show.figures.style import PRINT, TEACHER, Look

LEGIBLE = 20  # classes up to which each has its number and an ellipse
HALF = float(np.sqrt(2 * np.log(2)))  # standard deviations that hold half of a normal in a plane
READING = (
    "each panel is one student of seed {seed} beside the teacher of that seed, at the last layer. "
    "The student's features were rotated and scaled onto the teacher's by half of the test rows "
    "(orthogonal Procrustes); the other half is shown, in the plane of the first two principal "
    "components of the teacher's class means. Black is the teacher's centroid of a class{named}, "
    "a line leads to the student's{ellipse}. Short lines: the classes lie as the teacher's do. "
    "The residual is the share of the teacher's variance that the alignment leaves on the shown "
    "rows, in all dimensions: compare it with the pure student's, which never saw the teacher. "
    "One seed: a picture, no evidence."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw the students of one seed. Raises NothingToDraw."""
    seed, chosen = _chosen(tables, dataset)
    found: dict[str, Aligned] = {}
    for one in chosen.to_dict("records"):
        aligned = _aligned(tables, str(one["run_a"]), str(one["run_b"]))
        if aligned is not None:
            found[str(one["arm"])] = aligned
    if not found:
        raise NothingToDraw(NOT_EXTRACTED)
    few = tables.classes[dataset] <= LEGIBLE
    roles = dict(zip(chosen["arm"], chosen["role"], strict=True))
    return Drawn(
        _figure(found, roles, tables.looks(), tables.label(dataset), few),
        pd.DataFrame([row for arm, one in found.items() for row in _rows(arm, seed, one)]),
        caption(
            "Class centroids of each student beside its teacher's, aligned.",
            tables,
            dataset,
            [1],
            READING.format(
                seed=seed,
                named=" (its number)" if few else "",
                ellipse=", an ellipse holds about half of its images" if few else "",
            ),
        ),
    )


def _chosen(tables: Tables, dataset: str) -> tuple[int, pd.DataFrame]:
    """The students of the seed that has most of them, each with its teacher."""
    pairs, runs = tables.pairs, tables.valid(dataset)
    own = pairs[
        (pairs["dataset"] == dataset) & pairs["kind"].isin(["own_teacher", "pure_teacher"])
    ][["run_a", "run_b"]].drop_duplicates("run_a")
    some = runs[["run", "arm", "role", "seed"]].merge(own, left_on="run", right_on="run_a")
    some = some[some["role"] != "teacher"]
    if some.empty:
        raise NothingToDraw("no valid student was compared with its teacher")
    seed = int(str(some.groupby("seed")["arm"].nunique().idxmax()))
    return seed, some[some["seed"] == seed].drop_duplicates("arm")


def _aligned(tables: Tables, run: str, teacher: str) -> Aligned | None:
    """A student aligned with its teacher; None if one is not extracted or cannot be aligned."""
    sides = [tables.extracted(name) for name in (run, teacher)]
    if sides[0] is None or sides[1] is None:
        return None
    a, b = sides[0], sides[1]
    try:
        return align(a.test.layers[a.layers[-1]], b.test.layers[b.layers[-1]], a.test.labels)
    except DataError:
        return None


def _rows(arm: str, seed: int, found: Aligned) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for label in np.unique(found.labels):
        inside = found.labels == label
        student, teacher = (side[inside] for side in (found.student, found.teacher))
        rows.append(
            {
                "arm": arm,
                "seed": seed,
                "class": int(label),
                "x": student[:, 0].mean(),
                "y": student[:, 1].mean(),
                "teacher_x": teacher[:, 0].mean(),
                "teacher_y": teacher[:, 1].mean(),
                "residual": found.residual,
            }
        )
    return rows


def _title(found: Mapping[str, Aligned], roles: Mapping[str, str], dataset: str) -> str:
    closest = min(found, key=lambda arm: found[arm].residual)
    text = f"{dataset}: closest to its teacher is {closest} (residual {_percent(found[closest])})"
    pure = [_percent(one) for arm, one in found.items() if roles[arm] == "pure"]
    return f"{text}; pure {pure[0]}" if len(pure) == 1 and roles[closest] != "pure" else text


def _percent(found: Aligned) -> str:
    return f"{100 * found.residual:.0f} %"


def _figure(
    found: Mapping[str, Aligned],
    roles: Mapping[str, str],
    looks: Mapping[str, Look],
    dataset: str,
    few: bool,
) -> Figure:
    with matplotlib.rc_context(PRINT):
        figure, grid = panels(len(found), above=0.4)
        for axes, (arm, one) in zip(grid, found.items(), strict=True):
            _panel(axes, one, looks[arm], few)
            axes.set_title(f"{narrow(arm, len(found))}\nresidual {_percent(one)}")
            axes.set_xticks([])
            axes.set_yticks([])
        figure.supxlabel("first direction of the teacher's class means", fontsize=8)
        figure.supylabel("second direction", fontsize=8)
        headline(figure, _title(found, roles, dataset))
        return settled(figure)


def _panel(axes: Axes, found: Aligned, look: Look, few: bool) -> None:
    classes = np.unique(found.labels)
    teacher, student = (
        np.stack([side[found.labels == label].mean(axis=0) for label in classes])
        for side in (found.teacher, found.student)
    )
    links = [np.stack(ends) for ends in zip(teacher, student, strict=True)]
    axes.add_collection(LineCollection(links, colors=look.colour, linewidths=0.8))
    axes.plot(student[:, 0], student[:, 1], look.marker, color=look.colour, ms=2.5)
    if few:
        for label, (x, y) in zip(classes, teacher, strict=True):
            axes.scatter([x], [y], s=18, marker=f"${label}$", color=TEACHER, lw=0, zorder=3)
            _ellipse(axes, found.student[found.labels == label], look)
    else:
        axes.scatter(teacher[:, 0], teacher[:, 1], s=4, color=TEACHER, lw=0, zorder=3)
    axes.margins(0.08)


def _ellipse(axes: Axes, rows: np.ndarray, look: Look) -> None:
    """Half of a normal distribution with the rows' mean and covariance."""
    if len(rows) < 3:
        return
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    width, height = 2 * HALF * np.sqrt(np.maximum(values, 0))
    angle = float(np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0])))
    axes.add_patch(
        Ellipse(rows.mean(axis=0), width, height, angle=angle, color=look.colour, alpha=0.15)
    )
