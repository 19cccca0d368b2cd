"""Extra cost: counted from the runs' own records, relative to the pure student's."""

from __future__ import annotations

import json
from typing import Any

from stillhouse.runs.files import dump_json, file_hash
from stillhouse.stats.cost import cost_table
from workbench import LOGIT, PURE, RKD, TEACHER, Bench, edit

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
