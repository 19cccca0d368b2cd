"""`make bench`: its dry run, what an interruption keeps, its page, and the quick check."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.performance import __main__ as bench
from benchmarks.performance import limits, parts, torchdistill
from benchmarks.performance.page import bounds, page, plots
from benchmarks.performance.pairs import fallen, middle, pairs, ratios
from benchmarks.performance.work import Work
from torch.utils.flop_counter import FlopCounterMode

from stillhouse import data, models

Measure = Callable[[], dict[str, Any]]


OTHER = {
    "processor": "Another",
    "cores": 64,
    "python": "3",
    "torch": "2",
    "source": "",
    "dry_run": False,
}


def row(ratio: float, part: str = "round-cost", name: str = "small pair, fp32") -> dict[str, Any]:
    pairs = [[1.0, ratio], [1.0, ratio], [2.0, 2 * ratio]]
    return {"part": part, "name": name, "pairs": pairs, "by": OTHER}


def test_pairs_take_turns_and_change_their_order() -> None:
    done: list[str] = []
    now = 0.0

    def act(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            nonlocal now
            now += seconds
            done.append(name)

        return run

    found = pairs(act("ours", 1.0), act("other", 3.0), 3, lambda: now)
    assert found == [[1.0, 3.0]] * 3
    assert done == ["ours", "other", "ours", "other", "other", "ours", "ours", "other"]


def test_a_ratio_above_one_means_that_ours_is_faster() -> None:
    assert ratios(row(2.5)) == [2.5, 2.5, 2.5] and middle(row(2.5)) == 2.5


@pytest.mark.parametrize(("now", "worse"), [(3.0, 0), (2.3, 0), (2.2, 1), (9.0, 0)])
def test_a_quarter_less_than_the_committed_ratio_has_fallen(now: float, worse: int) -> None:
    assert len(fallen([row(now), row(1.0, name="new")], [row(3.0)])) == worse
    left_out = {"part": "torchdistill", "name": "logit", "left_out": "not installed"}
    assert fallen([left_out], [left_out, row(3.0)]) == []


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Two parts whose rows are made up; how often each row was measured."""
    counts: dict[str, int] = {}

    def part(name: str, ratio: float) -> Callable[[object], Iterator[tuple[str, Measure]]]:
        def rows(work: object) -> Iterator[tuple[str, Measure]]:
            for one in ("a", "b"):

                def measure(key: str = f"{name} {one}") -> dict[str, Any]:
                    counts[key] = counts.get(key, 0) + 1
                    if key == "data b" and counts[key] == 1:
                        raise KeyboardInterrupt
                    return {"pairs": [[1.0, ratio]]}

                yield one, measure

        return rows

    fakes = {"round-cost": part("round-cost", 2.0), "data": part("data", 9.0)}
    monkeypatch.setattr(bench, "PARTS", fakes)
    return counts


def test_an_interrupted_benchmark_goes_on_where_it_was(
    tmp_path: Path, fake: dict[str, int]
) -> None:
    options = ["--out", str(tmp_path), "--work", str(tmp_path / "work")]
    with pytest.raises(KeyboardInterrupt):
        bench.main(options)
    assert len(json.loads((tmp_path / "performance.json").read_text())["rows"]) == 3
    assert bench.main(options) == 0
    assert fake == {"round-cost a": 1, "round-cost b": 1, "data a": 1, "data b": 2}
    assert bench.main([*options, "--only", "data", "--fresh"]) == 0
    assert fake == {"round-cost a": 1, "round-cost b": 1, "data a": 2, "data b": 3}
    assert bench.main([*options, "--only", "data", "--pairs", "3"]) == 0  # another measurement
    assert fake["data a"] == 3
    assert "9.00" in (tmp_path / "performance.md").read_text()


def test_the_quick_check_fails_where_a_ratio_fell(
    tmp_path: Path, fake: dict[str, int], capsys: pytest.CaptureFixture[str]
) -> None:
    fake["data b"] = 1  # this one is not interrupted
    quick = ["--quick", "--out", str(tmp_path)]
    assert bench.main(quick) == 2  # nothing to compare with
    file = tmp_path / "performance.json"
    file.write_text(json.dumps({"rows": [row(2.1, name="a"), row(9.0, "data", "a")]}))
    before = file.read_bytes()
    assert bench.main(quick) == 0
    file.write_text(json.dumps({"rows": [row(2.1, name="a"), row(20.0, "data", "a")]}))
    assert bench.main(quick) == 1
    assert "data, a: 9.00 times as fast, 20.00 before" in capsys.readouterr().out
    by = bench.facts(Work(3, tmp_path))
    here, there = {**row(9.0, "data", "a"), "by": by}, row(20.0, "data", "a")
    file.write_text(json.dumps({"rows": [here, there]}))
    assert bench.main(quick) == 0  # another machine's ratio says nothing of this one's
    assert before != file.read_bytes()  # written by this test alone
    assert not (tmp_path / "performance.md").exists()


def test_what_was_left_out_is_tried_again_and_what_is_gone_is_dropped(
    tmp_path: Path, fake: dict[str, int]
) -> None:
    fake["data b"] = 1
    options = ["--out", str(tmp_path), "--work", str(tmp_path)]
    assert bench.main(options) == 0
    file = tmp_path / "performance.json"
    kept = json.loads(file.read_text())
    kept["rows"][0] |= {"left_out": "not installed", "pairs": []}
    kept["rows"].append({**kept["rows"][1], "name": "of an earlier version"})
    file.write_text(json.dumps(kept))
    assert bench.main(options) == 0
    assert fake == {"round-cost a": 2, "round-cost b": 1, "data a": 1, "data b": 2}
    names = {(one["part"], one["name"]) for one in json.loads(file.read_text())["rows"]}
    assert names == {(part, name) for part in ("round-cost", "data") for name in "ab"}


def test_rows_of_other_machines_stay_beside_those_of_this_one(
    tmp_path: Path, fake: dict[str, int]
) -> None:
    fake["data b"] = 1
    file = tmp_path / "performance.json"
    file.write_text(json.dumps({"format": 1, "rows": [row(3.5, name="a")]}))
    assert bench.main(["--out", str(tmp_path), "--work", str(tmp_path)]) == 0
    found = json.loads(file.read_text())["rows"]
    assert [(one["name"], middle(one)) for one in found if one["part"] == "round-cost"] == [
        *(("a", 3.5), ("a", 2.0), ("b", 2.0))
    ]
    text = (tmp_path / "performance.md").read_text()
    first, second = text.split("On Another, 64 cores:")[1].split("\nOn ", 1)
    assert "| a | 3.50 |" in first and "| a | 2.00 |" in second


def test_an_unknown_part_is_refused(tmp_path: Path) -> None:
    assert bench.main(["--only", "speed", "--out", str(tmp_path)]) == 2
    assert not any(tmp_path.iterdir())


def test_the_page_shows_what_was_measured_and_what_was_not(tmp_path: Path) -> None:
    by = bench.facts(Work(3, tmp_path))
    rows = [
        row(2.0),
        {
            "part": "torchdistill",
            "name": "logit, 1 student, fp32",
            "left_out": "needs torchdistill",
        },
        {"part": "growth", "name": "7 students", "students": 7, "pairs": [[6.0, 1.0]]},
        {"part": "convolutions", "name": "small pair, bf16", "pairs": [[2.0, 1.5], [4.0, 3.0]]},
        {
            "part": "beside",
            "name": "small pair, fp32",
            "shares": {"data": 0.1, "guards": 1.0, "records": 0.5},
            "mathematics": {"teacher": 9.0, "backward": 40.04},
        },
        {
            "part": "evaluation",
            "name": "64 x 64 pixels",
            "pairs": [[2.0, 3.0]],
            "faults": [[100, 200_000]],
        },
        {
            "part": "images",
            "name": "10,240 images",
            "pairs": [[4.0, 2.0]],
            "images_mib": 30.0,
            "peak_mib": 900.4,
        },
        {
            "part": "commands",
            "name": "1,000 runs",
            "runs": 1000,
            "commands": [{"command": "plan", "index": "warm", "seconds": 0.5, "mib": 120.0}],
        },
    ]
    report = {"rows": [{**one, "by": by} for one in rows]}
    pictures = plots(report, tmp_path)
    text = page(report, pictures)
    assert "| small pair, fp32 | 2.00 | [2.00, 2.00] | 3 |" in text
    assert "- logit, 1 student, fp32: not measured (needs torchdistill)" in text
    assert "| 7 students | 6.00 | [6.00, 6.00] | 1 |" in text
    assert "| small pair, bf16 | 75 | [75, 75] | 2 |" in text
    assert "| small pair, fp32 | 0.1 | 1.0 | 0.5 | 1.6 | 9.0 | 40.0 |" in text
    assert "| 64 x 64 pixels | 1.50 | [1.50, 1.50] | 1 | 100 | 200,000 |" in text
    assert "| 10,240 images | 2.00 | [2.00, 2.00] | 1 | 30 | 900 |" in text
    assert "| 1,000 | plan | warm | 0.50 | 120 |" in text
    assert {*pictures} == {"round-cost", "growth"}
    for picture in pictures.values():
        assert f"({picture})" in text and (tmp_path / picture).stat().st_size > 1000


def test_what_bounds_the_ratios_follows_from_the_rows() -> None:
    def measured(part: str, name: str, ours: float, other: float) -> dict[str, Any]:
        return {"part": part, "name": name, "pairs": [[ours, other]] * 3}

    rows = [
        measured("round-cost", "small pair, fp32", 1.25, 2.25),
        measured("convolutions", "small pair, fp32", 0.15, 0.0625),
        measured("growth", "1 student", 0.25, 0.25),
        measured("growth", "7 students", 1.0, 0.25),
        measured("torchdistill", "logit, 1 student, fp32", 0.25, 0.3125),
    ]
    text = bounds(rows)
    assert "take 0.250 s a step, each further student 0.125 s" in text
    assert "are 80 % of the cohort's step" in text
    assert "2.25 times as fast" in text and "convolutions 4.00 times" in text
    assert "at most 20 % of its step" in text
    assert bounds(rows[1:]) == ""


@pytest.mark.slow
def test_the_dry_run_measures_every_part(tmp_path: Path) -> None:
    options = ["--dry-run", "--pairs", "1", "--out", str(tmp_path), "--work", str(tmp_path / "w")]
    assert bench.main(options) == 0
    found = json.loads((tmp_path / "performance.json").read_text())["rows"]
    assert {one["part"] for one in found} == {*parts.PARTS}
    for one in found:
        if one["part"] == "torchdistill" and torchdistill.missing():
            assert "pip install" in one["left_out"]
        elif one["part"] == "commands":
            assert {command["command"] for command in one["commands"]} == {"status", "plan-new"}
        elif one["part"] == "beside":
            shares = one["shares"] | one["mathematics"]
            assert {*one["shares"]} == {"data", "guards", "records"}
            assert all(0 < share < 100 for share in shares.values())
            assert 90 < sum(shares.values()) < 100.5
        else:
            assert all(seconds > 0 for pair in one["pairs"] for seconds in pair)
    assert "a dry run: means nothing" in (tmp_path / "performance.md").read_text()


def test_bare_convolutions_are_those_of_the_network() -> None:
    network = models.build("ResNet20", data.spec("Cifar10"))
    act = limits.bare_convolutions(network, torch.zeros(2, 3, 32, 32), torch.bfloat16)
    with FlopCounterMode(display=False) as bare:
        act()
    with FlopCounterMode(display=False) as whole:
        logits = network(torch.zeros(2, 3, 32, 32)).logits
        logits.sum().backward()
    counts = [
        sum(v for op, v in flops.get_flop_counts()["Global"].items() if "conv" in str(op))
        for flops in (bare, whole)
    ]
    assert counts[0] == counts[1] > 0


def test_the_squares_can_be_learned_and_lie_where_their_class_says() -> None:
    made = limits.squares("train", 50)
    images, labels = made["train_images"], made["train_labels"]
    bright = images.reshape(50, 4, 8, 4, 8, 3).mean(axis=(2, 4, 5)).reshape(50, 16).argmax(axis=1)
    assert (bright == labels).all() and {*labels} == {*range(10)}
