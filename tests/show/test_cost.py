"""What a round costs, in words."""

from __future__ import annotations

import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.cluster.site import Resources
from stillhouse.rounds.cost import passes, processes
from stillhouse.rounds.estimate import EpochCost, Process
from stillhouse.show.cost import cost_note, hours, site_note

HOUR = 3600.0
COSTS = {
    TEACHER: EpochCost(2 * HOUR, 0.1 * HOUR, memory=2_000_000_000),
    PURE: EpochCost(HOUR, 0.1 * HOUR),
    LOGIT: EpochCost(HOUR, 0.1 * HOUR, 0.5 * HOUR),
    RKD: EpochCost(1.5 * HOUR, 0.1 * HOUR, 0.5 * HOUR),
}


def left(bench: Bench, *known: str) -> list[Process]:
    """The processes of one worker, where an epoch of some kinds of run costs what it does above."""
    costs = {path: COSTS[kind] for path in bench.runs if (kind := path.rpartition("/")[0]) in known}
    return processes(bench.look(), costs)


def note(bench: Bench, *known: str, jobs: int = 1) -> str:
    return cost_note(bench.look(), left(bench, *known), jobs, passes(bench.runs.values()), "again")


def test_what_cohorts_take_and_save_is_said(bench: Bench) -> None:
    """Two seeds of two epochs: 4.2 h for a teacher, 8.2 h for its three students."""
    found = note(bench, *COSTS, jobs=2)
    assert "cost: 24.8 h in 4 processes" in found
    assert "about 12.4 h with 2 of them at a time" in found
    assert "each run alone: 27.6 h, 1.11 times as much" in found
    assert "the longest takes 8.2 h; up to 2 GB of memory" in found
    assert "at a time" not in note(bench, *COSTS)


def test_an_unknown_time_stays_unknown(bench: Bench) -> None:
    found = note(bench, PURE, LOGIT)
    assert "4 runs have no recorded time" in found and "unknown in hours: again --time" in found
    assert "7.4 h for the others" not in note(bench)
    assert "for the others" in found


def test_a_site_is_told_what_its_jobs_need(bench: Bench) -> None:
    found = site_note(left(bench, *COSTS))
    assert 'walltime = "10:20:00", memory_gb = 3' in found  # 8.2 h, a quarter more, and the margin
    short = Resources(walltime=2 * 3600, memory_gb=2)
    found = site_note(left(bench, *COSTS), 180, short)
    assert "its walltime of 2:00:00 makes 5 jobs" in found
    assert "memory_gb = 2 may be too little" in found
    assert (
        site_note(left(bench, *COSTS), 180, Resources(walltime=9 * 3600, memory_gb=4)).count(";")
        == 1
    )
    assert site_note(left(bench, PURE)) == site_note([]) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.4, "59 s"), (300.0, "5 min"), (5399.0, "90 min"), (9000.0, "2.5 h")]
)
def test_hours(seconds: float, text: str) -> None:
    assert hours(seconds) == text
