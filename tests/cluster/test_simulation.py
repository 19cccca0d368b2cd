"""The short version of `make simulate`: the real policy against a scheduler that fails."""

from __future__ import annotations

import pytest

import simulator
from simulator import World, campaign, matrix


def test_a_round_always_completes_near_the_bound() -> None:
    for report in campaign(students=12, seeds=6, cap=10, worlds=3, share=0.4):
        assert report.runs == 312
        assert report.ratio < 1.10
        assert report.faults > 100
        assert report.most_in_queue <= 10 and report.most_jobs_a_pass <= 10
        assert report.listings == report.passes
        assert report.jobs < 1.2 * report.makespan * 10 / 2 + 312


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_lost_or_doubled_where_much_fails(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulator, "FLAKY_LISTING", 0.3)
    monkeypatch.setattr(simulator, "LAGGING_LISTING", 0.3)
    monkeypatch.setattr(simulator, "FAILED_SUBMISSION", 0.3)
    monkeypatch.setattr(simulator, "NODE_FAILURES_PER_HOUR", 0.2)
    world = World(matrix(students=4, seeds=2), cap=6, seed=seed, hour_share=0.2)
    world.go(most_passes=int(4 * world.bound() / simulator.PASS) + 400)
    assert {cell.state.name for cell in world.cells.values()} == {"done"}


def test_a_policy_that_trusts_every_listing_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def hasty(*arguments: object) -> bool:
        return not arguments[1]

    monkeypatch.setattr(simulator, "can_close", hasty)
    monkeypatch.setattr(simulator, "LAGGING_LISTING", 0.5)
    monkeypatch.setattr(World, "leave_closed", False)
    with pytest.raises(AssertionError, match=r"by two jobs|trained again|runs left|<="):
        for seed in range(15):
            world = World(matrix(students=4, seeds=2), cap=6, seed=seed, hour_share=0.2)
            world.go(most_passes=3000)
