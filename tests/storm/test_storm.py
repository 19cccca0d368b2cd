"""A short storm of eight faults (`make short-storm`); `make storm` is the whole one."""

from __future__ import annotations

import pytest

from storm.__main__ import main

pytestmark = pytest.mark.long
POINTS = (
    "between a checkpoint's write and its rename",
    "inside a metric append",
    "during paraphraser pretraining",
    "at the teacher hand-over",
    "between result.json's write and its appearance",
    "claiming: before the folder gets its number",
)


def test_a_short_storm_ends_bit_for_bit_as_if_undisturbed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    size = ["--methods", "pure", "factor_transfer", "--seeds", "1", "--epochs", "3"]
    faults = ["--seed", "1", "--signals", "2", "--times", "1", "--points", *POINTS]
    faults += ["--archive-points"]  # none: that part takes minutes
    assert main([*size, *faults]) == 0, capsys.readouterr().out
    assert "verdict: every round ended bit for bit" in capsys.readouterr().out
