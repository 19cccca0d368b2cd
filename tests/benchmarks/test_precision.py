"""`make precision`: pairs, the interval over seeds, and two small rounds from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from benchmarks import precision


def rows(*seeds: tuple[float, ...]) -> list[dict[str, Any]]:
    return [
        {"seed": seed, "difference": value} for seed, values in enumerate(seeds) for value in values
    ]


@pytest.mark.parametrize(
    ("seeds", "word"),
    [
        (((0.1, 0.3), (-0.1, 0.1), (0.0, 0.2)), "equivalent"),
        (((0.1, 3.0), (-2.0, 0.1), (0.0, 0.2)), "inconclusive"),
        (((1.1, 1.3), (1.2, 1.2), (1.0, 1.2)), "different"),
    ],
)
def test_a_seed_is_one_observation(seeds: tuple[tuple[float, ...], ...], word: str) -> None:
    found = precision.judged(rows(*seeds))
    means = [np.mean(values) for values in seeds]
    low, high = stats.ttest_1samp(means, 0).confidence_interval(0.9)
    assert (found["low"], found["high"]) == pytest.approx((low, high))
    assert f"{word} at a margin of ±0.5" in found["verdict"]


def test_the_interval_is_that_of_two_one_sided_tests() -> None:
    found = precision.judged(rows((0.1, 0.4), (-0.2, 0.1), (0.3, 0.3), (0.2, -0.1)))
    means = found["by_seed"]
    above = stats.ttest_1samp(means, found["low"], alternative="greater").pvalue
    below = stats.ttest_1samp(means, found["high"], alternative="less").pvalue
    assert (above, below) == pytest.approx((0.05, 0.05))


def test_pairs_are_the_same_runs_and_none_may_be_missing() -> None:
    one = pd.DataFrame({"run": ["b", "a"], "arm": ["B", "A"], "seed": [0, 0], "valid": True})
    bf16, fp32 = one.assign(accuracy=[70.0, 60.0]), one[::-1].assign(accuracy=[61.0, 70.5])
    found = {row["run"]: row["difference"] for row in precision.paired(bf16, fp32)}
    assert found == {"a": -1.0, "b": -0.5}
    with pytest.raises(ValueError, match="missing or not valid"):
        precision.paired(bf16, fp32.assign(valid=[True, False]))


def test_one_seed_and_a_failed_round_end_without_a_page(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options = [str(tmp_path / "w"), "--out", str(tmp_path)]
    assert precision.main([*options, "--seeds", "1"]) == 2
    assert precision.main([*options, "--dataset", "Digits", "--batch", "5000"]) == 1
    assert "no comparison: `run` of " in capfd.readouterr().err
    assert not (tmp_path / "precision.md").exists()


@pytest.mark.slow
def test_two_small_rounds_end_in_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "METHODS", ("pure", "logit"))
    options = ["--dataset", "Digits", "--teacher", "ResNetBaby", "--seeds", "2", "--epochs", "3"]
    options += ["--images", "600", "--batch", "8", "--out", str(tmp_path), "--run", "--jobs 1"]
    assert precision.main([str(tmp_path / "w"), *options]) == 0
    report = json.loads((tmp_path / "precision.json").read_text())
    assert len(report["rows"]) == 2 * 2
    files = [
        yaml.safe_load(file.read_text()) for file in (tmp_path / "w").rglob("precision_*.yaml")
    ]
    assert {file["training"].pop("precision") for file in files} == {"bf16", "fp32"}
    assert files[0]["training"] == files[1]["training"]
    text = (tmp_path / "precision.md").read_text()
    assert report["verdict"] in text and "2 seeds: 4 pairs of runs" in text
