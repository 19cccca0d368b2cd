from __future__ import annotations

from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.show import status
from stillhouse.show.results import seed_tables
from stillhouse.show.status import status_table


def test_the_grid_shows_every_state_and_how_far_it_is(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.begin(f"{LOGIT}/0")
    bench.end(f"{RKD}/0", "stopped")
    table = status_table(bench.look())
    assert table.title == "round tiny: 1 done, 1 running, 1 stopped, 3 queued, 2 waiting"
    assert table.columns == ("Dataset", "Method", "Network", "Seed 0", "Seed 1")
    assert table.rows == (
        ("Digits", "pure", "ResNet20", "done", "queued"),
        ("Digits", "pure", "ResNetBaby", "queued", "queued"),
        ("Digits", "logit", "ResNetBaby", "running 1/2", "waiting"),
        ("Digits", "rkd", "ResNetBaby", "stopped 1/2", "waiting"),
    )
    assert table.notes == ()


def test_a_long_table_shows_the_rows_that_are_not_done(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in list(bench.runs)[:-1]:
        bench.finish(path, 80.0)
    everything = status_table(bench.look())
    assert status_table(bench.look(), short=True) == everything
    monkeypatch.setattr(status, "MANY_ROWS", 3)
    table = status_table(bench.look(), short=True)
    assert table.rows == everything.rows[3:]
    assert [row[1] for row in table.rows] == ["rkd"]
    assert table.notes == ("3 rows of runs that are done: --format csv shows all",)
    assert table.title == everything.title
    assert status_table(bench.look()) == everything


def test_every_failure_stands_below_with_its_reason(bench: Bench) -> None:
    bench.end(f"{TEACHER}/0", "failed", "the loss term 'ce' is not finite at epoch 0 step 3")
    table = status_table(bench.look())
    reason = "failed: the loss term 'ce' is not finite at epoch 0 step 3"
    assert table.notes == (f"{TEACHER}/0: {reason}",)


def test_one_broken_folder_does_not_hide_the_others(bench: Bench) -> None:
    bench.finish_all([90.0, 90.0, 80.0, 81.0, 82.0, 83.0, 84.0, 85.0])
    bench.folder(f"{PURE}/0").result.write_bytes(b"\x00\xff")
    bench.folder(f"{LOGIT}/0").result.write_text('{"final": {}}')
    seen = bench.look()
    table = status_table(seen)
    assert table.title == "round tiny: 6 done, 2 unreadable"
    assert [row[3:] for row in table.rows] == [
        ("done", "done"),
        ("unreadable", "done"),
        ("unreadable", "done"),
        ("done", "done"),
    ]
    assert any("result.json" in note and "damaged" in note for note in table.notes)
    (accuracies,) = seed_tables(seen, "final")
    assert [row[1:3] for row in accuracies.rows] == [
        ("90.00", "90.00"),
        ("FAILED", "83.00"),
        ("FAILED", "84.00"),
        ("82.00", "85.00"),
    ]


def test_damage_of_any_file_stays_with_its_run(bench: Bench) -> None:
    bench.end(f"{TEACHER}/0", "failed", "x")
    bench.begin(f"{TEACHER}/1")
    bench.folder(f"{TEACHER}/0").attempts()[-1].status.write_text("[]")
    bench.folder(f"{TEACHER}/1").attempts()[-1].claim.write_text("not JSON")
    words = [row[3:] for row in status_table(bench.look()).rows]
    assert words[0] == ("unreadable", "unreadable")
    assert words[1] == ("queued", "queued")


def test_sweep_points_have_rows_of_their_own(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        methods=["logit"],
        seeds=[0],
        distillation={"total": "convex"},
        sweep={"alpha": [0.25, 0.5]},
    )
    methods = [row[1] for row in status_table(bench.look()).rows]
    assert methods == ["pure", "logit alpha=0.25", "logit alpha=0.5"]
