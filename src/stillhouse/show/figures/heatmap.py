"""Heat map of method x swept parameter: the difference to the pure student, and its verdict."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stillhouse.show.figures.drawn import (
    Drawn,
    NothingToDraw,
    Tables,
    caption,
    headline,
    settled,
    signed,
)
from stillhouse.show.figures.panels import base, in_order
from stillhouse.show.figures.style import DOUBLE, PRINT, PURE
from stillhouse.stats.inference import Difference, Test, difference, holm
from stillhouse.stats.verdict import MARGIN, judge

SHORT = {"inconclusive": "open"}
READING = (
    "each cell is a method at one value of the swept parameter: mean difference to the pure "
    "student in points of test accuracy, number of seeds, and verdict (helps, hurts, equivalent "
    "within ±{margin:g}, open), adjusted by Holm for all cells. Red is above the pure student, "
    "blue below; white is no difference. Hatched cells have no valid run, empty cells are not "
    "planned. A row whose colour depends on the value asks for the value to be chosen on other "
    "images than these."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw a dataset's swept methods. Raises NothingToDraw."""
    runs = tables.of(dataset)
    methods = runs[runs["role"] == "method"]
    swept = methods[methods["arm"].map(base) != methods["arm"]]
    if swept.empty:
        raise NothingToDraw("the round sweeps no parameter")
    data = _cells(runs, in_order(swept["arm"]), tables, dataset)
    if data["difference"].isna().all():
        raise NothingToDraw("no swept method and pure student have a completed seed in common")
    return Drawn(
        _figure(data, tables.label(dataset)),
        data,
        caption(
            "Difference to the pure student by method and value of the swept parameter.",
            tables,
            dataset,
            [int(n) for n in data["n"]],
            READING.format(margin=MARGIN),
        ),
    )


def _cells(runs: pd.DataFrame, arms: list[str], tables: Tables, dataset: str) -> pd.DataFrame:
    """One row per swept arm; `verdict` is empty for one without a valid run."""
    test: Test = "paired" if tables.paired else "welch"
    valid = runs[runs["valid"]]
    pures = valid[valid["role"] == "pure"]
    gaps: dict[str, Difference | None] = {}
    for arm in arms:
        own = valid[valid["arm"] == arm]
        pure = pures[pures["student"].isin(own["student"])]
        gaps[arm] = difference(
            _by_seed(own), _by_seed(pure), test, 100 / tables.test_images[dataset]
        )
    tested = [arm for arm, gap in gaps.items() if gap is not None and gap.p is not None]
    raw = [gap.p for arm in tested if (gap := gaps[arm]) is not None and gap.p is not None]
    adjusted = dict(zip(tested, holm(raw), strict=True))
    rows = []
    for arm, gap in gaps.items():
        name = base(arm)
        row: dict[str, object] = {
            "method": name,
            "point": arm.removeprefix(name).strip(),
            "arm": arm,
            "n": gap.n if gap else 0,
            "difference": gap.value if gap else np.nan,
            "low": gap.low if gap else None,
            "high": gap.high if gap else None,
            "adjusted_p": adjusted.get(arm),
            "verdict": "",
        }
        if gap is not None:
            row["verdict"] = judge(gap, adjusted.get(arm), MARGIN, None, len(tested)).word
        rows.append(row)
    return pd.DataFrame(rows)


def _by_seed(runs: pd.DataFrame) -> Mapping[int, float]:
    return dict(zip(runs["seed"], runs["accuracy"], strict=True))


def _title(data: pd.DataFrame, dataset: str) -> str:
    counts = data["verdict"].value_counts()
    parts = [f"{int(counts.get(word, 0))} {shown}" for word, shown in _WORDS.items()]
    return f"{dataset}: of {len(data)} cells {', '.join(parts)}"


_WORDS = {
    "helps": "above the pure student",
    "hurts": "below",
    "equivalent": "equivalent",
    "inconclusive": "open",
}


def _figure(data: pd.DataFrame, dataset: str) -> Figure:
    methods, points = in_order(data["method"]), in_order(data["point"])
    limit = max(float(data["difference"].abs().max()), 1e-6)
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, 0.5 * len(methods) + 1.1))
        axes = figure.add_subplot()
        table = data.pivot(index="method", columns="point", values="difference")
        image = axes.imshow(
            table.reindex(index=methods, columns=points).to_numpy(dtype=float),
            cmap="RdBu_r",
            vmin=-limit,
            vmax=limit,
            aspect="auto",
        )
        for one in data.to_dict("records"):
            place = (points.index(one["point"]), methods.index(one["method"]))
            _cell(axes, place, one, limit, len(points))
        axes.set_xticks(range(len(points)), [point.replace(" ", "\n") for point in points])
        axes.set_yticks(range(len(methods)), methods)
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        bar = figure.colorbar(image, ax=axes, fraction=0.04, pad=0.02)
        bar.set_label("points above pure")
        headline(figure, _title(data, dataset))
        return settled(figure)


def _cell(
    axes: Axes, place: tuple[int, int], one: Mapping[Hashable, object], limit: float, columns: int
) -> None:
    x, y = place
    if not one["verdict"]:
        corner = (x - 0.5, y - 0.5)
        axes.add_patch(Rectangle(corner, 1, 1, fill=False, hatch="////", ec=PURE, linewidth=0))
        return
    value = float(str(one["difference"]))
    text = signed(value)
    if columns <= LEGIBLE:
        word = str(one["verdict"])
        text = f"{text}\nn = {one['n']}, {SHORT.get(word, word)}"
    colour = "white" if abs(value) > 0.6 * limit else "black"
    axes.text(x, y, text, ha="center", va="center", fontsize=7, color=colour)


LEGIBLE = 5  # columns up to which a cell has room for seeds and verdict
