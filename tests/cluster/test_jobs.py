"""Judging jobs that are over."""

from __future__ import annotations

import pytest

from fake_scheduler import make_site
from stillhouse.cluster.jobs import Job, Request, Traces, can_close, judge
from stillhouse.cluster.ledger import Past
from stillhouse.runs.state import RunState

JOB = Job(
    1, "kd1", Request((("a",), ("b",)), make_site().resources), {"a": (2, 1), "b": (2, 1)}, 0, "7"
)
ALONE = Job(1, "kd1", Request((("a",),), make_site().resources), {"a": (2, 1)}, 0, "7")
MORE = RunState("stopped", "the time allowed", 5, attempts=2, code="walltime")
DRY = RunState("stopped", "the time allowed", 2, attempts=2, code="walltime")
LOST = RunState("lost", "its process ended", 2, attempts=2)


def traces(exit: int | None, seconds: float = 600, output: str = "") -> Traces:
    return Traces(True, exit, "node7", seconds, output)


def test_a_job_is_over_when_it_is_gone_and_nobody_is_alive() -> None:
    here = traces(None)
    assert can_close(JOB, False, here, False, 1, 300)
    assert not can_close(JOB, True, here, False, 1, 300)
    assert not can_close(JOB, False, here, True, 1, 300)
    assert not can_close(JOB, False, Traces(), False, 299, 300)
    assert can_close(JOB, False, Traces(), False, 301, 300)


@pytest.mark.parametrize(
    ("exit", "seconds", "output", "now", "outcome", "reason"),
    [
        (3, 6900, "", MORE, "left", "the time allowed"),
        (0, 900, "", RunState("done", "", 10, attempts=2), "left", ""),
        (None, 400, "", LOST, "killed", "killed without a message"),
        (None, 3500, "", LOST, "killed", "killed at its walltime"),
        (143, 100, "", LOST, "killed", "killed without a message"),
        (1, 5, "x\nModuleNotFoundError: No module named 'scipy'\n",
         RunState("lost", "", 2, attempts=1), "failed",
         "ModuleNotFoundError: No module named 'scipy'"),
        (1, 5, "error: no data\n  hint: fetch\n", RunState("missing", "", 2, attempts=1), "failed",
         "error: no data"),
        (127, 1, "python: not found", RunState("missing", "", 2, attempts=1), "failed",
         "python: not found"),
        (1, 9, "", RunState("failed", "ValueError: x", 2, attempts=2), "failed", "ValueError: x"),
        (1, 9, "", RunState("failed", "told in other words", 2, attempts=2, code="oom-gpu"),
         "out of memory", "out of memory"),
        (137, 9, "", RunState("lost", "", 2, attempts=2, memory=7_000_000_000), "out of memory",
         "out of memory"),
        (137, 9, "", RunState("lost", "", 2, attempts=2, memory=500_000_000), "killed",
         "killed without a message"),
        (None, 9, "=>> PBS: job killed: mem 33554433kb exceeded limit 33554432kb", LOST,
         "out of memory", "out of memory"),
        (None, 9, "slurmstepd: error: Detected 1 oom-kill event(s)", LOST, "out of memory",
         "out of memory"),
    ],
)  # fmt: skip
def test_the_ending_is_told_from_what_was_left(
    exit: int | None, seconds: float, output: str, now: RunState, outcome: str, reason: str
) -> None:
    ending = judge(ALONE, traces(exit, seconds, output), {"a": now})
    assert (ending.outcome, ending.reason, ending.node) == (outcome, reason, "node7")


def test_a_job_without_traces_was_not_sent_or_vanished() -> None:
    now = {"a": RunState("stopped", epoch=2, attempts=1)}
    sent = judge(ALONE, Traces(), now)
    assert (sent.outcome, sent.runs["a"].started) == ("vanished", False)
    unsent = Job(1, "kd1", ALONE.request, ALONE.since, 0, None)
    assert judge(unsent, Traces(), now).outcome == "unsent"


def test_two_dry_jobs_make_a_run_stuck_and_an_epoch_forgives_them() -> None:
    past = Past()
    for now, stuck in ((DRY, False), (MORE, False), (DRY, False), (DRY, True)):
        ending = judge(ALONE, traces(3), {"a": now})
        past = past.after(ending.runs["a"], 1)
        assert bool(past.stuck) is stuck
    assert Past(dry=1).after(judge(ALONE, traces(None, 10), {"a": LOST}).runs["a"], 1) == Past(1, 1)


def test_a_cohort_out_of_memory_is_split_and_a_single_run_asks_for_more() -> None:
    failed = RunState("failed", "told in other words", 4, attempts=2, code="oom-host")
    ending = judge(JOB, traces(1), {"a": failed, "b": MORE})
    assert ending.outcome == "out of memory"
    assert Past().after(ending.runs["a"], 2) == Past(together=1)
    assert Past().after(ending.runs["b"], 2) == Past()
    alone = judge(ALONE, traces(1), {"a": failed}).runs["a"]
    assert Past(together=1).after(alone, 1) == Past(memory=1, together=1)


def test_a_run_that_left_the_round_is_not_judged() -> None:
    assert list(judge(JOB, traces(3), {"a": MORE}).runs) == ["a"]
