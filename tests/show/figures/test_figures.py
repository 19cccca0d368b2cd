"""Every figure of the tables: legible, inside its frame, nothing over another, and true."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib import import_module
from itertools import combinations
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis, Tick
from matplotlib.text import Text
from scipy import stats

from show.figures.made_tables import ALPHAS, made
from stillhouse.show.figures import FIGURES
from stillhouse.show.figures.drawn import (
    Drawn,
    NothingToDraw,
    Tables,
    headline_of,
    spread,
    write,
)
from stillhouse.show.figures.style import (
    DOUBLE,
    PRINT,
    PURE,
    SINGLE,
    SMALLEST,
    STATES,
    TEACHER,
    looks,
)

each = pytest.mark.parametrize("name", FIGURES)
MIXED = ("at chance", "failed", "running", "lost", "queued")
ROUNDS = {
    "three seeds": made(),
    "one seed of one method": made(seeds=1, methods=1),
    "all states": made(states=MIXED),
    "a sweep": made(methods=3, alphas=ALPHAS),
    "many methods and classes": made(methods=14, seeds=2, classes=40),
}
OF_SWEEPS = ("sweep", "heatmap")
EVERY_RUN = ("status", "curves")  # the figures that show failed runs, as such


def fitting(name: str) -> Drawn:
    """The figure of a round of three seeds that has what it shows."""
    return of_round(name, "a sweep" if name in OF_SWEEPS else "three seeds")


@cache
def of_round(name: str, kind: str) -> Drawn:
    """A figure of one of the rounds, drawn once for all tests."""
    return drawn(name, ROUNDS[kind])


def drawn(name: str, tables: Tables) -> Drawn:
    found = import_module(f"stillhouse.show.figures.{name}").draw(tables, "Cifar10")
    assert isinstance(found, Drawn)
    return found


def texts(figure: matplotlib.figure.Figure) -> list[Text]:
    """All texts that are drawn: ticks beyond the limits of an axis exist and are not."""
    with matplotlib.rc_context(PRINT):
        figure.draw_without_rendering()
    of_ticks = {label for tick in figure.findobj(Tick) for label in (tick.label1, tick.label2)}
    drawn_ticks = {
        label
        for axis in figure.findobj(Axis)
        if axis.axes.axison
        for tick in axis._update_ticks()
        for label in (tick.label1, tick.label2)
    }
    return [
        text
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip()
        if text not in of_ticks - drawn_ticks
    ]


@each
@pytest.mark.parametrize("kind", ROUNDS)
def test_text_is_legible_inside_the_figure_and_apart(name: str, kind: str) -> None:
    tables = ROUNDS[kind]
    if name in OF_SWEEPS and "sweep" not in kind:
        with pytest.raises(NothingToDraw, match="sweeps no parameter"):
            drawn(name, tables)
        return
    figure = of_round(name, kind).figure
    frame = figure.bbox
    boxes = []
    for text in texts(figure):
        assert text.get_fontsize() >= SMALLEST, text
        box = text.get_window_extent()
        assert box.x0 >= frame.x0 - 1 and box.x1 <= frame.x1 + 1, (text, box, frame)
        assert box.y0 >= frame.y0 - 1 and box.y1 <= frame.y1 + 1, (text, box, frame)
        boxes.append((text, box))
        for axes in set(figure.axes) - {text.axes}:
            panel = axes.get_window_extent()
            assert not (
                min(box.x1, panel.x1) - max(box.x0, panel.x0) > 1
                and min(box.y1, panel.y1) - max(box.y0, panel.y0) > 1
                and axes.axison
            ), (text, axes)
    for (one, a), (other, b) in combinations(boxes, 2):
        width = min(a.x1, b.x1) - max(a.x0, b.x0)
        height = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert width <= 1 or height <= 1, (one, other)


@each
def test_width_is_that_of_a_column_or_of_two(name: str) -> None:
    assert fitting(name).figure.get_size_inches()[0] in (SINGLE, DOUBLE)


@each
def test_a_method_has_one_colour_and_marker_everywhere(name: str) -> None:
    kind = "a sweep" if name in OF_SWEEPS else "all states"
    allowed = {(look.colour, look.marker) for look in ROUNDS[kind].looks().values()}
    if name in EVERY_RUN:
        allowed |= {(state.colour, state.marker) for state in STATES.values()}
    others = {PURE, TEACHER}  # reference lines
    for axes in of_round(name, kind).figure.axes:
        for line in axes.lines:
            if line.get_marker() not in ("None", None, ""):
                assert (line.get_color(), line.get_marker()) in allowed
            else:
                assert line.get_color() in {colour for colour, _ in allowed} | others


def test_looks_differ_by_colour_or_marker_beyond_six_methods() -> None:
    found = looks([f"method{i}" for i in range(20)] + ["pure"])
    assert len({(look.colour, look.marker) for look in found.values()}) == 21
    assert found["pure"].colour == PURE


@each
def test_failed_runs_are_named_and_not_drawn(name: str) -> None:
    alphas = ALPHAS[:1] if name in OF_SWEEPS else ()
    found = drawn(name, made(failed=("rkd",), alphas=alphas))
    assert "Excluded: 3 of 24 runs: Cifar10/rkd" in found.caption
    if "arm" in found.data and name not in EVERY_RUN:
        own = found.data[found.data["arm"].str.startswith("RKD")]
        numbers = own.select_dtypes("number").drop(columns="n", errors="ignore")
        assert numbers.isna().all(axis=None)


@each
def test_captions_tell_images_seeds_and_how_to_read(name: str) -> None:
    caption = fitting(name).caption
    seeds = "seed 0" if name == "centroids" else "3 seeds"
    for part in ("10,000 test images", seeds, "No run is excluded", "How to read it:"):
        assert part in caption


@each
def test_a_dataset_has_its_usual_name(name: str) -> None:
    found = fitting(name)
    assert headline_of(found.figure).startswith("CIFAR-10")
    assert "CIFAR-10, round made" in found.caption


@each
def test_a_figure_is_written_in_five_files(name: str, tmp_path: Path) -> None:
    found = fitting(name)
    paths = write(found, tmp_path, name)
    assert [path.suffix for path in paths] == [".png", ".svg", ".pdf", ".csv", ".md"]
    assert len(pd.read_csv(tmp_path / f"{name}.csv")) == len(found.data)
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@each
def test_a_figure_is_drawn_alike_twice(name: str, tmp_path: Path) -> None:
    tables = made(methods=3, alphas=ALPHAS[:2] if name in OF_SWEEPS else ())
    for folder in ("a", "b"):
        write(drawn(name, tables), tmp_path / folder, name, ["svg"])
    one, other = ((tmp_path / folder / f"{name}.svg").read_bytes() for folder in ("a", "b"))
    assert one == other


@each
def test_without_rows_there_is_a_reason(name: str) -> None:
    tables = made()
    none = {"runs": tables.runs.assign(valid=False), "transfer": tables.transfer[:0]}
    if name in EVERY_RUN:
        none = {"runs": tables.runs[:0]}
    empty = Tables(**{**vars(tables), **none})
    with pytest.raises(NothingToDraw) as caught:
        drawn(name, empty)
    assert caught.value.reason


def test_the_forest_plot_is_in_order_and_its_intervals_are_those_of_the_tables() -> None:
    from stillhouse.stats.inference import difference

    tables = ROUNDS["three seeds"]
    data = drawn("forest", tables).data
    assert list(data["difference"]) == sorted(data["difference"], reverse=True)
    runs = tables.valid("Cifar10")
    pure, logit = (
        dict(zip(rows["seed"], rows["accuracy"], strict=True))
        for rows in (runs[runs["arm"] == arm] for arm in ("Pure", "Logit"))
    )
    expected = difference(logit, pure, "paired", 0.01)
    row = data.set_index("arm").loc["Logit"]
    assert expected is not None
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (expected.value, expected.low, expected.high)
    )


def test_the_title_of_the_forest_plot_counts_what_is_left_after_holm() -> None:
    tables = ROUNDS["three seeds"]
    found = drawn("forest", tables)
    data = found.data.set_index("arm")
    runs = tables.valid("Cifar10").pivot(index="seed", columns="arm", values="accuracy")
    tested = stats.ttest_rel(runs[[*data.index]], runs[["Pure"]]).pvalue
    order = np.argsort(tested)
    held = np.maximum.accumulate(tested[order] * np.arange(len(order), 0, -1)).clip(max=1)
    np.testing.assert_allclose(data["p_holm"].to_numpy()[order], held)
    sure = data[data["p_holm"] < 0.05]["difference"]
    title = found.figure.get_suptitle()
    assert f"{(sure > 0).sum()} of 6 methods above" in title
    assert f"{(sure < 0).sum()} below" in title
    apart = int(((data["low"] > 0) | (data["high"] < 0)).sum())
    assert f"{apart} intervals" in title


def test_no_seed_is_hidden_by_the_bar_of_its_method() -> None:
    (axes,) = of_round("accuracy", "three seeds").figure.axes
    seeds = [line for line in axes.lines if line.get_linestyle() == "None"]
    bars = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert len(seeds) == 8 and len(bars) >= 8
    levels = {float(y) for bar in bars for y in bar.get_ydata()}
    assert all(
        abs(float(y) - level) > 0.2 for s in seeds for y in s.get_ydata() for level in levels
    )


def test_cross_layer_maps_are_differences_to_the_pure_student() -> None:
    data = of_round("cross_layer", "three seeds").data.set_index(["arm", "layer", "teacher_layer"])[
        "difference"
    ]
    assert len(data) == 6 * 9
    assert data["FitNets", "layer3", "layer3"] == pytest.approx(0.15, abs=0.05)
    assert data["FitNets", "layer1", "layer3"] == pytest.approx(0, abs=0.05)


def test_the_maps_share_one_scale_around_zero() -> None:
    figure = of_round("cross_layer", "three seeds").figure
    limits = {image.get_clim() for axes in figure.axes for image in axes.images}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low == -high


def test_the_curve_of_independent_errors() -> None:
    found = of_round("fidelity", "three seeds")
    curve = next(line for line in found.figure.axes[0].lines if line.get_linestyle() == ":")
    x, y = (np.asarray(values) for values in curve.get_data())
    teacher = found.data["teacher_accuracy"].mean() / 100
    np.testing.assert_allclose(y, 100 * (x / 100 * teacher + (1 - x / 100) * (1 - teacher) / 9))


def test_runs_far_above_independent_errors_keep_their_panel() -> None:
    tables = ROUNDS["three seeds"]
    runs = tables.runs.assign(accuracy=tables.runs["accuracy"] - 25)
    found = drawn("fidelity", replace(tables, runs=runs))
    (axes,) = found.figure.axes
    low, high = axes.get_ylim()
    assert np.ptp(found.data["agreement"]) > 0.7 * (high - low)
    assert any("independent errors: " in text.get_text() for text in axes.texts)


def test_an_order_that_no_seed_separates_is_not_the_title() -> None:
    tables = ROUNDS["three seeds"]
    measures = tables.measures.copy()
    last = (measures["measure"] == "effective_rank") & (measures["layer"] == "layer3")
    for role, values in {"teacher": (9.0, 10.0, 11.0), "pure": (9.1, 9.2, 9.3)}.items():
        named = tables.runs[tables.runs["role"] == role]["run"]
        for run, value in zip(named, values, strict=True):
            measures.loc[last & (measures["run"] == run), "value"] = value
    title = drawn("depth", replace(tables, measures=measures)).figure.get_suptitle()
    assert "as many directions" in title


def test_the_pure_students_specificity_is_drawn_and_not_counted_as_a_method() -> None:
    tables = ROUNDS["three seeds"]
    sure = tables.transfer["quantity"] == "specificity"
    floor = tables.transfer[sure].drop_duplicates("layer").assign(arm="Pure", low=0.1, high=0.2)
    more = replace(tables, transfer=pd.concat([tables.transfer, floor]))
    before, after = drawn("transfer", tables).figure, drawn("transfer", more).figure
    assert after.get_suptitle() == before.get_suptitle()
    assert "Pure" in [tick.get_text() for tick in after.axes[0].get_yticklabels()]


def test_correlations_within_and_between_methods_can_have_opposite_signs() -> None:
    """Inside each method accuracy falls with alignment, between methods it rises (Simpson)."""
    from stillhouse.show.figures.alignment import correlations

    rows = [
        {"run": f"{arm}/{seed}", "arm": arm, "value": place + 0.01 * seed, "accuracy": place - seed}
        for arm, place in (("a", 10.0), ("b", 20.0), ("c", 30.0))
        for seed in range(3)
    ]
    within, between = correlations(pd.DataFrame(rows))
    assert (within, between) == pytest.approx((-1, 1))
    assert correlations(pd.DataFrame(rows[::3])) == (None, pytest.approx(1))


def test_labels_move_apart_and_keep_their_order() -> None:
    places = spread([5.0, 1.0, 1.1, 1.05], gap=0.5, low=0, high=10)
    assert np.argsort(places).tolist() == [1, 3, 2, 0]
    assert np.diff(sorted(places)).min() >= 0.5 - 1e-12
    assert places[0] == 5.0
    assert np.mean(sorted(places)[:3]) == pytest.approx(1.05)
    assert max(spread([9.9, 10.0], gap=1, low=0, high=10)) <= 10


def test_what_is_plotted_is_read_back_as_numbers_and_words(tmp_path: Path) -> None:
    for name in FIGURES:
        drawn = fitting(name)
        write(drawn, tmp_path, name, [])
        found = pd.read_csv(tmp_path / f"{name}.csv")
        assert (*found.columns,) == (*drawn.data.columns,) and len(found) == len(drawn.data) > 0
        words = found.select_dtypes(exclude="number").stack().astype(str)
        assert not words.str.match(r"[\[({<]").any(), name
