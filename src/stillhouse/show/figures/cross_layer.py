"""Maps of layer against layer: a method's similarity to the teacher less the pure student's."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from stillhouse.show.figures.drawn import (
    CKA,
    Drawn,
    NothingToDraw,
    Tables,
    caption,
    headline,
    settled,
    signed,
)
from stillhouse.show.figures.panels import LARGE, by_layer, in_order, narrow, panels
from stillhouse.show.figures.style import PRINT

MEASURE = "linear_cka"
BESIDE = 0.7  # inches for a colour bar
Floats = NDArray[np.float64]
READING = (
    "each panel is one method: rows are layers of the student, columns layers of its teacher. A "
    "cell is the similarity of the two less that of the pure student and the same teacher, mean "
    "over seeds: red where distillation raised it, blue where it lowered it; all panels share "
    "one scale. Where only the diagonal is red, layers came to match the teacher's of the same "
    "depth; a red column means that all layers moved towards one layer of the teacher."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw one map per method. Raises NothingToDraw."""
    differences = _differences(tables, dataset)
    if differences.empty:
        raise NothingToDraw(f"no method and pure student have {CKA} with the same teacher")
    return Drawn(
        _figure(differences, tables.label(dataset)),
        differences,
        caption(
            f"{CKA} of every layer with every layer of the teacher, less that of the pure "
            "student, mean over seeds.",
            tables,
            dataset,
            [int(n) for n in differences["n"]],
            READING,
        ),
    )


def _differences(tables: Tables, dataset: str) -> pd.DataFrame:
    """Mean difference per arm, layer and teacher's layer over the seeds that have both."""
    runs, pairs = tables.valid(dataset), tables.pairs
    kinds = ["own_teacher", "pure_teacher", "cross_layer"]
    some = pairs[
        (pairs["dataset"] == dataset) & (pairs["measure"] == MEASURE) & pairs["kind"].isin(kinds)
    ].merge(
        runs[["run", "arm", "role", "method", "student", "seed"]], left_on="run_a", right_on="run"
    )
    keys = ["student", "seed", "run_b", "layer_a", "layer_b"]
    pure = some[some["method"] == "pure"][[*keys, "value"]].drop_duplicates(keys)
    taught = some[(some["method"] != "pure") & (some["role"] == "method")]
    both = taught.merge(pure, on=keys, suffixes=("", "_pure")).dropna(
        subset=["value", "value_pure"]
    )
    both = both.assign(difference=both["value"] - both["value_pure"])
    means = both.groupby(["arm", "layer_a", "layer_b"], sort=False)["difference"]
    found = means.agg(["mean", "count"]).reset_index()
    found.columns = pd.Index(["arm", "layer", "teacher_layer", "difference", "n"])
    order = in_order(runs["arm"])
    return found.sort_values("arm", key=lambda arm: arm.map(order.index), kind="stable")


def _title(found: pd.DataFrame, dataset: str) -> str:
    top = found.iloc[int(found["difference"].abs().to_numpy().argmax())]
    return (
        f"{dataset}: the largest change is {top['difference']:+.2f}, {top['arm']}, its "
        f"{top['layer']} with the teacher's {top['teacher_layer']}"
    )


def _figure(found: pd.DataFrame, dataset: str) -> Figure:
    arms = in_order(found["arm"])
    layers, teachers = by_layer(found["layer"]), by_layer(found["teacher_layer"])
    limit = max(float(found["difference"].abs().max()), 1e-6)
    with matplotlib.rc_context(PRINT):
        figure, grid = panels(len(arms), beside=BESIDE)
        for axes, arm in zip(grid, arms, strict=True):
            some = found[found["arm"] == arm]
            table = some.pivot(index="layer", columns="teacher_layer", values="difference")
            values = table.reindex(index=layers, columns=teachers).to_numpy(dtype=float)
            image = _map(axes, values, limit)
            if len(arms) <= LARGE:
                _numbers(axes, values, limit)
            axes.set_title(narrow(arm, len(arms), BESIDE))
        names = [layer.removeprefix("layer") for layer in teachers]
        grid[0].set_xticks(range(len(teachers)), names)
        grid[0].set_yticks(range(len(layers)), [layer.removeprefix("layer") for layer in layers])
        bar = figure.colorbar(image, ax=grid, fraction=0.03, pad=0.02)
        bar.set_label(f"{CKA} less that of pure")
        figure.supxlabel("layer of the teacher", fontsize=8)
        figure.supylabel("layer of the student", fontsize=8)
        headline(figure, _title(found, dataset))
        return settled(figure)


def _map(axes: Axes, values: Floats, limit: float) -> AxesImage:
    image = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return image


def _numbers(axes: Axes, values: Floats, limit: float) -> None:
    """The values in their cells, where a panel has room for them."""
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if abs(value) > 0.6 * limit else "black"
            text = signed(value)
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
