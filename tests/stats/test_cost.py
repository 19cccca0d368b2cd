"""Extra cost: counted from the runs' own records, relative to the pure student's."""

from __future__ import annotations

import json
from typing import Any

from fake_rounds import LOGIT, NO_HASH, PURE, RKD, TEACHER, Bench, edit
from stillhouse.represent.facts import FILE
from stillhouse.runs.files import dump_json, file_hash
from stillhouse.runs.records import dump_sealed
from stillhouse.stats.cost import cost_table, network_table

TAUGHT = "a" * 64


def spend(bench: Bench, path: str, seconds: list[float], **facts: Any) -> None:
    """Give a completed run's record a cost and its epochs these times."""
    folder = bench.folder(path)
    records = [
        {"epoch": epoch, "test": {"accuracy": 80.0}, "time": {"seconds": time}}
        for epoch, time in enumerate(seconds, start=1)
    ]
    metrics = folder.path / "metrics.jsonl"
    metrics.write_text("".join(json.dumps(record) + "\n" for record in records))
    edit(folder.result, lambda result: result.update(facts, metrics=file_hash(metrics)))


def test_costs_are_relative_to_the_pure_student(bench: Bench) -> None:
    for path in (f"{TEACHER}/0", f"{PURE}/0", f"{PURE}/1", f"{LOGIT}/0", f"{RKD}/0"):
        bench.finish(path, 80.0)
    spend(bench, f"{PURE}/0", [2.0, 4.0])
    spend(bench, f"{PURE}/1", [3.0, 3.0])
    counts = {"parameters": 200, "method_parameters": 50, "method_frozen_parameters": 7}
    spend(bench, f"{LOGIT}/0", [4.5, 4.5], cost=counts, teacher={"sha256": TAUGHT})
    spend(bench, f"{RKD}/0", [3.3], cost=counts | {"method_parameters": 0})
    pretrained = bench.workspace.pretrained
    pretrained.mkdir()
    for name, teacher, seconds in (("mine", TAUGHT, 6.0), ("another", "b" * 64, 60.0)):
        part = {"method": "logit", "key": {"teacher": teacher}, "seconds": seconds}
        (pretrained / f"logit-{name}.json").write_bytes(dump_json(part))
    table = cost_table(bench.look(), "Digits", pretrained)
    assert table.rows == (
        ("Logit KD", 50, "25.0%", 7, "1.50", "2.0"),
        ("RKD", 0, "0.0%", 7, "1.10", None),
    )


def test_what_was_not_recorded_is_left_open(bench: Bench) -> None:
    bench.finish(f"{LOGIT}/0", 80.0)
    table = cost_table(bench.look(), "Digits", bench.workspace.pretrained)
    assert table.rows == (("Logit KD", None, None, None, None, None),)


def test_a_run_with_damaged_records_is_named(bench: Bench) -> None:
    bench.finish(f"{PURE}/0", 80.0)
    bench.finish(f"{LOGIT}/0", 80.0)
    spend(bench, f"{PURE}/0", [2.0])
    (bench.folder(f"{PURE}/0").path / "metrics.jsonl").write_text("{}")
    table = cost_table(bench.look(), "Digits", bench.workspace.pretrained)
    assert f"Left out of the times: {bench.folder(f'{PURE}/0').path}" in table.notes[-1]


def extract(bench: Bench, path: str, **changes: Any) -> None:
    """Write what `extract` measures of a run."""
    facts = {
        "weights": "final",
        "weights_sha256": NO_HASH,
        "accuracy": 80.0,
        "class_accuracies": [90.0, None, 70.0],
        "parameters": 1000,
        "multiply_adds": 2_500_000,
        "seconds_per_image": 0.002,
        "batch_size": 256,
        "threads": 3,
        "jobs": 1,
        "device": "cpu",
        "differing": 0,
    }
    (bench.folder(path).path / FILE).write_bytes(dump_sealed(facts | changes))


def network_rows(bench: Bench) -> dict[str, dict[str, Any]]:
    table = network_table(bench.look(), "Digits")
    return {str(row[0]): dict(zip(table.columns, row, strict=True)) for row in table.rows}


def test_networks_have_their_size_time_and_classes_once_extracted(bench: Bench) -> None:
    bench.finish_all([80.0] * len(bench.runs))
    for seed, seconds in enumerate((0.002, 0.004)):
        extract(bench, f"{PURE}/{seed}", seconds_per_image=seconds, top5=99.0)
    found = network_rows(bench)
    row = found["Student pure (ResNetBaby)"]
    assert row["Multiply-adds"] == "2.50 M"
    assert row["ms per image"] == "3"
    assert row["Top-5 %"] == "99.00"
    assert row["Worst class %"] == "70.0 (class 2)"
    assert found["Logit KD"]["Multiply-adds"] is None
    notes = " ".join(network_table(bench.look(), "Digits").notes)
    assert "threads: 3" in notes


def test_what_was_measured_of_other_weights_or_is_damaged_does_not_count(bench: Bench) -> None:
    bench.finish_all([80.0] * len(bench.runs))
    extract(bench, f"{PURE}/0", weights_sha256="1" * 64)
    (bench.folder(f"{PURE}/1").path / FILE).write_text("{")
    assert network_rows(bench)["Student pure (ResNetBaby)"]["Multiply-adds"] is None
    assert "extract" in network_table(bench.look(), "Digits").notes[0]
