"""The numbers that figures plot, against other ways to them."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from show.figures.made_tables import ALPHAS, made
from stillhouse.represent.measures import REGISTRY, Predictions
from stillhouse.show.figures.drawn import Drawn, Tables
from stillhouse.show.figures.panels import base, by_layer
from stillhouse.stats.inference import holm, mean_interval

SWEPT = made(methods=3, alphas=ALPHAS[:2])
PLAIN = made(methods=3)


def drawn(name: str, tables: Tables) -> Drawn:
    found = import_module(f"stillhouse.show.figures.{name}").draw(tables, "Cifar10")
    assert isinstance(found, Drawn)
    return found


def accuracies(tables: Tables, arm: str) -> list[float]:
    runs = tables.valid("Cifar10")
    return [*runs[runs["arm"] == arm]["accuracy"]]


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = [90.0, 91.0, 93.5]
    found = mean_interval(values)
    assert found == pytest.approx(
        stats.t.interval(0.95, 2, loc=np.mean(values), scale=stats.sem(values))
    )
    assert mean_interval(values[:2]) is None


def test_a_sweep_plots_means_and_intervals_by_value() -> None:
    data = drawn("sweep", SWEPT).data
    row = data[data["arm"] == "Logit alpha=0.5"].iloc[0]
    values = accuracies(SWEPT, "Logit alpha=0.5")
    assert (row["line"], row["value"], row["mean"]) == (
        "Logit",
        0.5,
        pytest.approx(np.mean(values)),
    )
    assert (row["low"], row["high"]) == pytest.approx(mean_interval(values))
    assert data[data["value"].isna()]["arm"].to_list() == ["Teacher", "Pure"]


def test_controls_are_dotted() -> None:
    tables = replace(SWEPT, controls=frozenset({"logit"}))
    (axes, *_) = drawn("sweep", tables).figure.axes
    look = tables.looks()["Logit alpha=0.5"]
    dotted = {line.get_color() for line in axes.lines if line.get_linestyle() == ":"}
    assert dotted == {look.colour}


def test_the_heat_map_adjusts_for_all_cells() -> None:
    data = drawn("heatmap", SWEPT).data.set_index("arm")
    pure = np.array(accuracies(SWEPT, "Pure"))
    p_values = {arm: stats.ttest_rel(accuracies(SWEPT, arm), pure).pvalue for arm in data.index}
    assert [*data["adjusted_p"]] == pytest.approx(holm([*p_values.values()]))
    arm = "Attention transfer alpha=0.25"
    gap = np.mean(accuracies(SWEPT, arm)) - pure.mean()
    assert data.loc[arm, "difference"] == pytest.approx(gap)
    assert data.loc[arm, ["method", "point"]].to_list() == ["Attention transfer", "alpha=0.25"]


def test_a_cell_without_a_valid_run_has_no_verdict() -> None:
    data = drawn("heatmap", made(methods=3, alphas=ALPHAS[:2], failed=("logit",))).data
    own = data[data["method"] == "Logit"]
    assert [*own["verdict"]] == ["", ""] and own["difference"].isna().all()


def test_a_methods_confusions_are_those_above_pure() -> None:
    data = drawn("confusion", PLAIN).data

    def share(role: str, label: int, taken: int) -> float:
        runs = PLAIN.valid("Cifar10")
        opened = [PLAIN.extracted(run) for run in runs[runs["arm"] == role]["run"]]
        parts = [
            100 * (one.test.logits.argmax(1)[one.test.labels == label] == taken).mean()
            for one in opened
            if one
        ]
        return float(np.mean(parts))

    for row in data.sample(20, random_state=0).to_dict("records"):
        wanted = share(row["arm"], row["class"], row["taken_for"])
        if row["quantity"] == "difference to pure":
            wanted -= share("Pure", row["class"], row["taken_for"])
        assert row["percent"] == pytest.approx(wanted)
    assert {*data[data["arm"] == "Teacher"]["quantity"]} == {"share"}


def test_the_classes_in_most_confusion_are_chosen_and_counted() -> None:
    found = drawn("confusion", made(methods=1, seeds=1, classes=40))
    assert len({*found.data["class"]}) == 20
    assert "20 of 40 classes that Pure gets wrong most often" in found.caption


def test_the_calibration_error_of_a_diagram_is_that_of_the_measure() -> None:
    data = drawn("reliability", PLAIN).data
    runs = PLAIN.valid("Cifar10")
    values = []
    for run in runs[runs["arm"] == "Logit"]["run"]:
        opened = PLAIN.extracted(run)
        assert opened
        (value,) = REGISTRY["ece"](Predictions(opened.test.logits, opened.test.labels))
        values.append(value.value)
    own = data[data["arm"] == "Logit"]
    assert own["ece"].iloc[0] == pytest.approx(np.mean(values))
    assert own["share"].sum() == pytest.approx(1)
    assert own["predictions"].sum() == 3 * 400


def test_reliability_pools_all_seeds() -> None:
    own = drawn("reliability", PLAIN).data.query("arm == 'Logit'")
    runs = PLAIN.valid("Cifar10").query("arm == 'Logit'")["run"]
    opened = [one.test for one in map(PLAIN.extracted, runs) if one]
    right = sum((one.logits.argmax(1) == one.labels).sum() for one in opened)
    assert (own["accuracy"] * own["predictions"]).sum() == pytest.approx(right)


def test_marks_stand_at_the_epoch_that_was_found() -> None:
    marks = pd.DataFrame([{"run": PLAIN.runs["run"][0], "epoch": 3, "code": "divergence"}])
    found = drawn("curves", replace(PLAIN, marks=marks))
    marked = found.data[found.data["codes"].notna()]
    assert marked[["run", "epoch"]].to_numpy().tolist() == [[PLAIN.runs["run"][0], 3]]
    assert "1 of 15 runs marked: divergence (1)" in found.figure.get_suptitle()


def test_names_of_arms_and_layers() -> None:
    assert base("Logit alpha=0.5 temperature=4") == "Logit"
    assert base("Control: CE scaled (ResNet20) alpha=0.5") == "Control: CE scaled (ResNet20)"
    assert by_layer(["layer10", "layer9", "layer1"]) == ["layer1", "layer9", "layer10"]


def test_the_ceiling_lies_above_the_pure_student_and_no_other_control() -> None:
    """Here an arm that nobody taught is like the teachers, too: it is a control, not the floor."""
    pairs, runs = PLAIN.pairs, PLAIN.valid("Cifar10")
    untaught = pairs["run_a"].isin(runs.loc[runs["arm"] == "Logit", "run"])
    kinds = pairs["kind"].mask(untaught & (pairs["kind"] == "own_teacher"), "pure_teacher")
    alike = pairs.assign(kind=kinds, value=pairs["value"].mask(untaught, 0.92))
    data = drawn("transfer", replace(PLAIN, pairs=alike)).data
    same = (pairs["layer_a"] == "layer1") & (pairs["layer_b"] == "layer1")
    pure = pairs["run_a"].isin(runs.loc[runs["role"] == "pure", "run"])
    floor = pairs.loc[same & pure, "value"].mean()
    ceilings = [*data.query("layer == 'layer1'")["ceiling_excess"]]
    assert ceilings == pytest.approx([0.92 - floor] * len(ceilings)) and ceilings
