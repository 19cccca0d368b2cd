"""The long tables of runs and epochs: what the run folders say, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

import stillhouse
from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit
from stillhouse.errors import ConfigError, RunError
from stillhouse.runs.files import file_hash
from stillhouse.stats import columns
from stillhouse.stats.runs import LoadedRound, run_records


def load(bench: Bench) -> LoadedRound:
    return stillhouse.load_round(bench.file, bench.workspace.root)


def test_a_round_and_a_run_are_shown_in_one_line(bench: Bench) -> None:
    bench.finish(f"{PURE}/0", 90.0)
    loaded = load(bench)
    assert repr(loaded) == "<round tiny: 1 of 8 runs complete and valid>"
    assert repr(loaded.run(f"{PURE}/0")) == f"<run {PURE}/0: done>"


def test_one_row_per_run_in_the_order_of_the_matrix(bench: Bench) -> None:
    runs = load(bench).runs
    assert list(runs["run"]) == list(bench.runs)
    assert list(runs.columns) == [column.name for column in columns.RUNS]
    assert list(runs["role"].unique()) == ["teacher", "pure", "method"]
    assert set(runs["state"]) == {"queued", "waiting"}
    assert runs["accuracy"].isna().all() and runs["valid"].isna().all()


def test_a_completed_run_has_its_numbers_and_a_failed_one_its_reason(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 80.0)
    bench.finish(f"{PURE}/0", 70.0, best=75.0)
    bench.finish(f"{LOGIT}/0", 10.0)
    bench.end(f"{RKD}/0", "failed", "the loss is not finite")
    counts = {"parameters": 200, "method_parameters": 50}
    edit(bench.folder(f"{PURE}/0").result, lambda result: result.update(cost=counts))
    runs = load(bench).runs.set_index("run")
    pure, chance, failed = (runs.loc[f"{path}/0"] for path in (PURE, LOGIT, RKD))
    assert (pure.state, pure.valid, pure.accuracy) == ("done", True, 70.0)
    assert (pure.best_accuracy, pure.best_epoch, pure.parameters) == (75.0, 1, 200)
    assert (chance.state, chance.valid, chance.accuracy) == ("done", False, 10.0)
    assert "10.00 %" in chance.why
    assert (chance.teacher, chance.teacher_run) == ("ResNet20", f"{TEACHER}/0")
    assert failed.state == "failed" and failed.why == "the loss is not finite"
    assert pd.isna(failed.valid) and pd.isna(failed.accuracy)


def test_a_sweep_has_axis_and_value(tmp_path: Path) -> None:
    settings = {"methods": ["pure", "logit"], "distillation": {"total": "convex"}}
    one = Bench(tmp_path / "one", **settings, sweep={"alpha": [0.2, 0.4]})
    runs = load(one).runs
    swept = runs[runs["method"] == "logit"]
    assert set(swept["axis"]) == {"alpha"}
    assert sorted(set(swept["value"])) == sorted(set(swept["axis_alpha"])) == [0.2, 0.4]
    assert runs.loc[runs["method"] == "pure", "axis"].isna().all()
    axes = {"alpha": [0.2], "temperature": [1.0, 4.0]}
    both = Bench(tmp_path / "both", **settings, sweep=axes)
    swept = load(both).runs.query("method == 'logit'")
    assert set(swept["axis"]) == {"alpha temperature"} and swept["value"].isna().all()
    assert sorted(set(swept["axis_temperature"])) == [1.0, 4.0]


def test_every_finished_epoch_has_a_row(bench: Bench) -> None:
    bench.finish(f"{PURE}/0", 70.0)
    folder = bench.folder(f"{PURE}/0")
    records = [
        {
            "epoch": n,
            "lr": 0.1 / n,
            "train": {"total": 1.0 / n, "accuracy": 60.0 + n, "ce": 0.5},
            "test": {"accuracy": 60.0, "ce": 1.5},
            "time": {"seconds": 2.0 + n},
        }
        for n in (1, 2)
    ]
    metrics = folder.path / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    edit(folder.result, lambda result: result.update(metrics=file_hash(metrics)))
    epochs = load(bench).epochs
    assert list(epochs.columns) == [column.name for column in columns.EPOCHS]
    assert list(epochs["run"]) == [f"{PURE}/0"] * 2
    assert list(epochs["epoch"]) == [1, 2] and list(epochs["seconds"]) == [3.0, 4.0]
    assert list(epochs["train_loss"]) == [1.0, 0.5] and list(epochs["lr"]) == [0.1, 0.05]
    metrics.write_text("{}")
    with pytest.raises(RunError, match=f"{PURE}/0"):
        _ = load(bench).epochs


def test_a_round_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        stillhouse.load_round("nowhere", tmp_path)


def test_records_without_a_frame_are_those_of_the_frame(tmp_path: Path) -> None:
    settings = {"methods": ["pure", "logit"], "distillation": {"total": "convex"}}
    bench = Bench(tmp_path / "one", **settings, sweep={"alpha": [0.2, 0.4]})
    for path, accuracy in zip(list(bench.runs)[:-1], [90.0, 10.0, 80.5, 81.0, 83.0], strict=False):
        bench.finish(path, accuracy)
    loaded = load(bench)
    found = run_records(loaded.survey)
    assert {row["valid"] for row in found} == {"yes", "no", None}
    assert repr(found) == repr(columns.records(loaded.runs))


def test_plain_records_have_no_word_of_python(bench: Bench) -> None:
    bench.finish(f"{PURE}/0", 70.0)
    rows = {row["run"]: row for row in columns.records(load(bench).runs)}
    done, waiting = rows[f"{PURE}/0"], rows[f"{PURE}/1"]
    assert (done["valid"], done["seed"], type(done["seed"])) == ("yes", 0, int)
    assert waiting["valid"] is None and waiting["accuracy"] is None


def test_columns_are_listed_once_each_with_its_meaning() -> None:
    for _, listed in columns.TABLES.values():
        known = [column.name for column in listed]
        assert len(set(known)) == len(known)
        assert all(column.meaning for column in listed)
