"""Maps of layer against layer: a method's similarity to the teacher less the pure student's."""

from __future__ import annotations

from math import ceil

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from stillhouse.show.figures.drawn import (
    CKA,
    Drawn,
    NothingToDraw,
    Tables,
    caption,
    settled,
    signed,
)
from stillhouse.show.figures.style import DOUBLE, PRINT

MEASURE = "linear_cka"
COLUMNS = 4
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
        _figure(differences, dataset),
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
    return found


def _title(found: pd.DataFrame, dataset: str) -> str:
    top = found.iloc[int(found["difference"].abs().to_numpy().argmax())]
    return (
        f"{dataset}: the largest change is {top['difference']:+.2f}, {top['arm']}, its "
        f"{top['layer']} with the teacher's {top['teacher_layer']}"
    )


def _figure(found: pd.DataFrame, dataset: str) -> Figure:
    arms = list(dict.fromkeys(found["arm"]))
    layers = sorted(set(found["layer"]))
    teachers = sorted(set(found["teacher_layer"]))
    limit = max(float(found["difference"].abs().max()), 1e-6)
    columns = min(COLUMNS, len(arms))
    rows = ceil(len(arms) / columns)
    side = (DOUBLE - 1.1) / COLUMNS
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, rows * (side + 0.35) + 0.7))
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        image: AxesImage | None = None
        for i, axes in enumerate(grid.flat):
            if i >= len(arms):
                axes.set_axis_off()
                continue
            some = found[found["arm"] == arms[i]]
            table = some.pivot(index="layer", columns="teacher_layer", values="difference")
            image = _map(axes, table.reindex(index=layers, columns=teachers), limit)
            axes.set_title(arms[i])
            if i + columns >= len(arms):
                axes.tick_params(labelbottom=True)
        names = [layer.removeprefix("layer") for layer in teachers]
        grid[0][0].set_xticks(range(len(teachers)), names)
        grid[0][0].set_yticks(range(len(layers)), [layer.removeprefix("layer") for layer in layers])
        assert image is not None
        bar = figure.colorbar(image, ax=grid, fraction=0.03, pad=0.02)
        bar.set_label(f"{CKA} less that of pure")
        figure.supxlabel("layer of the teacher", fontsize=8)
        figure.supylabel("layer of the student", fontsize=8)
        figure.suptitle(_title(found, dataset), x=0.01, ha="left")
        return settled(figure)


def _map(axes: Axes, table: pd.DataFrame, limit: float) -> AxesImage:
    values = table.to_numpy(dtype=float)
    image = axes.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            dark = abs(value) > 0.6 * limit
            axes.text(
                column,
                row,
                signed(value),
                ha="center",
                va="center",
                fontsize=7,
                color="white" if dark else "black",
            )
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    return image
