from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_rounds import Bench, edit
from represented import LOGIT, PURE, TEACHER, WIDE
from stillhouse.errors import ConfigError, RunError
from stillhouse.represent import analyse
from stillhouse.represent.measures import REGISTRY, Pair, Representation
from stillhouse.represent.store import FILE, Representations, read, write
from stillhouse.show.analyze import analyze_table
from stillhouse.show.extract import extract_table


def extracted(bench: Bench, weights: str = "final", only: str | None = None) -> None:
    root = bench.workspace.root
    extract_table(bench.workspace, bench.look(only), weights, root, "cpu", 1, lambda text: None)


def analyzed(bench: Bench, jobs: int = 1) -> tuple[Any, list[str]]:
    logged: list[str] = []
    table, _ = analyze_table(bench.workspace, bench.look(), jobs, logged.append)
    return table, logged


def rows(bench: Bench, name: str) -> list[dict[str, str]]:
    home = bench.workspace.root / "analysis" / "experiment_tiny" / "tables"
    with (home / f"{name}.csv").open() as file:
        return [*csv.DictReader(file)]


def cache(bench: Bench) -> Path:
    return bench.workspace.root / "analysis" / analyse.FOLDER


def opened(bench: Bench, path: str) -> Representations:
    return read(bench.folder(path).path / FILE)


def test_tables_hold_what_the_registry_computes(trained: Bench) -> None:
    extracted(trained)
    table, _ = analyzed(trained)
    found = {
        (row["run_a"], row["layer_a"], row["run_b"], row["layer_b"], row["measure"], row["kind"]): (
            row["value"]
        )
        for row in rows(trained, "pairs")
    }
    kept = [opened(trained, path) for path in (LOGIT, TEACHER)]
    for layer_a, layer_b in (("first", "layer2"), ("second", "layer3")):
        a, b = (
            Representation(one.test.layers[layer], one.test.labels, one.test.ids)
            for one, layer in zip(kept, (layer_a, layer_b), strict=True)
        )
        (expected,) = REGISTRY["linear_cka"](Pair(a, b))
        place = (LOGIT, layer_a, TEACHER, layer_b, "linear_cka", "cross_layer")
        assert float(found[place]) == pytest.approx(expected.value, rel=1e-6)
    agreement = np.mean(kept[0].test.logits.argmax(1) == kept[1].test.logits.argmax(1))
    (row,) = (
        row
        for row in rows(trained, "measures")
        if (row["run"], row["measure"]) == (LOGIT, "agreement")
    )
    assert (row["layer"], row["teacher"], row["kind"]) == ("logits", TEACHER, "own_teacher")
    assert float(row["value"]) == pytest.approx(100 * agreement)
    measures = {row["measure"] for row in (*rows(trained, "measures"), *rows(trained, "pairs"))}
    assert measures == {one.name for one in REGISTRY.values() if one.default}
    assert {row["run"] for row in rows(trained, "runs")} == {*trained.runs}
    assert len(rows(trained, "epochs")) == 2 * len(trained.runs)
    valid = {
        row["arm"] for row in rows(trained, "runs") if row["teacher"] and row["valid"] == "yes"
    }
    assert {row[1] for row in table.rows} == valid != set()


def test_layers_are_compared_by_depth_only_where_they_have_as_many(trained: Bench) -> None:
    extracted(trained)
    analyzed(trained)
    same = {
        (row["layer_a"], row["layer_b"])
        for row in rows(trained, "pairs")
        if row["kind"] == "student_pure"
    }
    assert same == {("first", "first"), ("second", "second")}
    own = [row for row in rows(trained, "pairs") if row["kind"] == "own_teacher"]
    assert own == []


def test_a_second_call_computes_nothing_and_writes_the_same(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(trained)
    _, logged = analyzed(trained)
    assert "arms to compute: 4" in logged[0]
    first = {name: rows(trained, name) for name in ("measures", "pairs", "transfer")}
    monkeypatch.setattr(analyse, "compute", None)
    _, logged = analyzed(trained)
    assert "arms to compute: 0" in logged[0]
    assert {name: rows(trained, name) for name in first} == first


def test_only_what_has_changed_is_computed_again(trained: Bench) -> None:
    extracted(trained)
    analyzed(trained)
    path = trained.folder(WIDE).path / FILE
    kept = read(path)
    digest = "f" * 64
    edit(trained.folder(WIDE).result, lambda content: content["weights"].update(final=digest))
    write(path, replace(kept, header=replace(kept.header, sha256=digest)))
    _, logged = analyzed(trained)
    assert "arms to compute: 1" in logged[0]


def test_other_code_of_the_measures_computes_everything_again(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(trained)
    analyzed(trained)
    monkeypatch.setattr(analyse, "_code", lambda: "other")
    _, logged = analyzed(trained)
    assert "arms to compute: 4" in logged[0]


def test_two_processes_give_the_same_tables_in_whatever_order_they_end(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(trained)
    analyzed(trained)
    first = {name: rows(trained, name) for name in ("measures", "pairs", "transfer")}
    for file in cache(trained).iterdir():
        file.unlink()
    monkeypatch.setattr(analyse, "as_completed", lambda futures: reversed([*futures]))
    analyzed(trained, jobs=2)
    assert {name: rows(trained, name) for name in first} == first


def test_a_damaged_file_of_the_cache_is_computed_again(trained: Bench) -> None:
    extracted(trained)
    analyzed(trained)
    first = rows(trained, "pairs")
    file = max(cache(trained).iterdir(), key=lambda one: one.stat().st_size)
    file.write_bytes(file.read_bytes()[:100])
    _, logged = analyzed(trained)
    assert "arms to compute: 1" in logged[0]
    assert rows(trained, "pairs") == first


def test_a_killed_command_keeps_its_arms_and_leaves_no_process(trained: Bench) -> None:
    extracted(trained)
    root = trained.workspace.root
    command = [sys.executable, "-m", "stillhouse", "analyze", str(trained.file)]
    command += ["--root", str(root), "--jobs", "2"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, start_new_session=True, **quiet)
    while not [*cache(trained).glob("*.json")]:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = len([*cache(trained).glob("*.json")])
    _, logged = analyzed(trained)
    computed = int(logged[0].rpartition(" ")[2])
    assert computed <= 4 - kept
    deadline = time.monotonic() + 60
    while _lives(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _lives(group: int) -> bool:
    """Whether a process of a group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_without_extraction_runs_and_epochs_are_written_alone(trained: Bench) -> None:
    table, _ = analyzed(trained)
    assert table.rows == ()
    assert "extract" in table.empty
    assert len(rows(trained, "runs")) == len(trained.runs)
    home = trained.workspace.root / "analysis" / "experiment_tiny" / "tables"
    assert sorted(file.name for file in home.glob("*.csv")) == ["epochs.csv", "runs.csv"]


def test_final_and_best_weights_are_not_mixed(trained: Bench) -> None:
    extracted(trained)
    other = trained.folder(PURE)
    digests = {"final": "d" * 64, "best": "e" * 64}
    edit(trained.folder(TEACHER).result, lambda content: content["weights"].update(best="c" * 64))
    edit(other.result, lambda content: content["weights"].update(digests))
    kept = read(other.path / FILE)
    write(other.path / FILE, replace(kept, header=replace(kept.header, sha256=digests["best"])))
    with pytest.raises(RunError) as error:
        analyzed(trained)
    assert PURE in error.value.message
    assert TEACHER in error.value.message
    assert "extract" in error.value.hint


def test_a_network_whose_weights_changed_is_left_out_with_the_reason(trained: Bench) -> None:
    extracted(trained)
    digests = {"final": "d" * 64, "best": "e" * 64}
    edit(trained.folder(PURE).result, lambda content: content["weights"].update(digests))
    table, _ = analyzed(trained)
    assert any(PURE in note and "changed" in note for note in table.notes)
    assert PURE not in {row["run"] for row in rows(trained, "measures")}


def test_a_damaged_file_is_named_and_the_other_networks_are_measured(trained: Bench) -> None:
    extracted(trained)
    path = trained.folder(PURE).path / FILE
    path.write_bytes(path.read_bytes()[:-3])
    table, _ = analyzed(trained)
    assert any(PURE in note and "not a whole safetensors file" in note for note in table.notes)
    assert {row["run"] for row in rows(trained, "measures")} >= {TEACHER, LOGIT, WIDE}


def test_values_that_are_not_finite_are_empty_cells_with_a_reason(trained: Bench) -> None:
    extracted(trained)
    path = trained.folder(LOGIT).path / FILE
    kept = read(path)
    layers = {name: values.copy() for name, values in kept.test.layers.items()}
    layers["first"][3, 1] = np.nan
    test = type(kept.test)(layers, kept.test.logits.copy(), kept.test.labels, kept.test.ids)
    write(path, Representations(kept.header, test, kept.train))
    analyzed(trained)
    hit = [row for row in rows(trained, "pairs") if LOGIT in (row["run_a"], row["run_b"])]
    broken = [row for row in hit if (row["run_a"], row["layer_a"]) == (LOGIT, "first")]
    assert broken
    assert all(row["value"] == "" and "NaN" in row["why"] for row in broken)
    assert all(row["value"] for row in hit if row not in broken)


def test_a_measure_outside_the_default_set_is_computed_on_request(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(trained)
    analyzed(trained)
    before = rows(trained, "pairs")
    asked: list[tuple[str, ...]] = []
    compute = analyse.compute
    monkeypatch.setattr(
        analyse, "compute", lambda task, shelf: asked.append(task.measures) or compute(task, shelf)
    )
    look = trained.look()
    analyze_table(trained.workspace, look, 1, lambda text: None, ["rbf_cka"])
    assert {*asked} == {("rbf_cka",)}
    found = rows(trained, "pairs")
    new = [row for row in found if row["measure"] == "rbf_cka"]
    assert {row["bandwidth"] for row in new} == {"0.2", "0.5", "1", "2"}
    assert len(found) == len(before) + len(new)
    with pytest.raises(ConfigError, match="rbf_ckaa"):
        analyze_table(trained.workspace, look, 1, lambda text: None, ["rbf_ckaa"])
