from __future__ import annotations

import json
import time
from typing import Any

import pytest

from fake_rounds import LOGIT, PURE, Bench
from stillhouse.rounds.unlock import refused, unlock
from stillhouse.runs.claim import Busy, Claim, Superseded


def elsewhere(bench: Bench, path: str, **facts: Any) -> Claim:
    """A run that another host began a moment ago."""
    claim = bench.begin(path)
    told = json.loads(claim.attempt.claim.read_text())
    claim.attempt.claim.write_text(json.dumps(told | {"host": "node7", "job": "42.pbs"} | facts))
    return claim


def test_a_claim_of_another_host_is_released_and_the_next_attempt_starts(bench: Bench) -> None:
    first = elsewhere(bench, f"{PURE}/0")
    with pytest.raises(Busy, match="node7"):
        Claim.take(first.folder)
    table = unlock([first.folder], "title")
    (row,) = table.rows
    assert row[1:4] == (
        1,
        f"process {json.loads(first.attempt.claim.read_text())['pid']} on node7",
        "42.pbs",
    )
    assert (row[-1], refused(table)) == ("released", False)
    assert Claim.take(first.folder).attempt.number == 2


def test_a_released_writer_that_lives_after_all_leaves(bench: Bench) -> None:
    claim = elsewhere(bench, f"{PURE}/0")
    claim.check()
    unlock([claim.folder], "title")
    with pytest.raises(Superseded, match="unlock"):
        claim.check()


def test_one_that_is_alive_here_is_refused(bench: Bench) -> None:
    claim = bench.begin(f"{PURE}/0")
    table = unlock([claim.folder], "title")
    assert refused(table) and "alive here" in str(table.rows[0][-1])
    with pytest.raises(Busy):
        Claim.take(claim.folder)


def test_what_nobody_holds_is_not_named(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "lost")
    bench.end(f"{PURE}/1", "stopped")
    bench.finish(f"{LOGIT}/0", 80.0)
    folders = [bench.folder(path) for path in bench.runs]
    assert unlock(folders, "title").rows == ()
    assert not list(bench.workspace.experiments.rglob("released.json"))


def test_a_container_of_the_same_name_is_another_machine(bench: Bench) -> None:
    """Its process numbers are not ours, so only its heartbeat tells whether it lives."""
    claim = elsewhere(bench, f"{PURE}/0", host=None)
    told = json.loads(claim.attempt.claim.read_text())
    own = bench.begin(f"{PURE}/1").attempt.claim
    told |= {"host": json.loads(own.read_text())["host"], "space": "1", "pid": 999_999_999}
    claim.attempt.claim.write_text(json.dumps(told))
    with pytest.raises(Busy):
        Claim.take(claim.folder)
    claim.attempt.status.write_text(
        json.dumps({"state": "running", "heartbeat": time.time() - 10_000})
    )
    assert Claim.take(claim.folder).attempt.number == 2
