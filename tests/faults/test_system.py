"""Memory that runs out, clocks that jump or are wrong, and claims that others hold.

Each fault ends in a named state with a reason and a cure; once it is gone the same command ends
the round, bit for bit as if nothing had been.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

from fake_rounds import edit
from faults.scene import (
    CHECKPOINT,
    CLAIM,
    HERE,
    ONE,
    STUDENT,
    TEACHER,
    Moment,
    causes,
    ended,
    epochs,
    finishes,
    reason,
    run_until,
    said,
    snapshot,
)
from real_rounds import Desk, kill_group, wait_until
from stillhouse.runs.files import read_lines
from stillhouse.runs.folder import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize("moment", [CLAIM, CHECKPOINT], ids=["before its first step", "later"])
def test_memory_that_runs_out(desk: Desk, sound: dict[str, Any], moment: Moment) -> None:
    teacher = desk.workspace.experiments / TEACHER
    kept = snapshot(teacher)
    ended(run_until(desk, moment, "limit memory"), STUDENT, "out of memory", "--jobs")
    assert snapshot(teacher) == kept
    assert desk.states()[STUDENT] == "failed"
    assert "out of memory" in said(desk, "status", "--format", "md")
    assert causes(desk, STUDENT)[0] == "oom-host"
    finishes(desk, sound)


def test_a_worker_killed_as_by_a_kernel_whose_memory_is_full(
    desk: Desk, sound: dict[str, Any]
) -> None:
    """The command says so and goes on by itself."""
    done = run_until(desk, CHECKPOINT, "kill", skip=1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was ended by SIGKILL, as by a kernel whose memory is full" in done.stdout
    assert desk.outcomes() == sound


@pytest.mark.parametrize("when", ["while it trains", "before it goes on"])
def test_a_clock_that_jumps_back(desk: Desk, sound: dict[str, Any], when: str) -> None:
    """By an hour; only a machine's own clock can really be set, so Python's is."""
    resumed = when == "before it goes on"
    if resumed:
        killed_in_its_second_epoch(desk)
    path = f"{HERE / 'clock'}:{os.environ.get('PYTHONPATH', '')}"
    after = {"PYTHONPATH": path, "CLOCK_JUMPS_AFTER": "0" if resumed else "4"}
    done = desk.run(*ONE, env=os.environ | after)
    assert done.returncode == 0, done.stdout + done.stderr
    records = read_lines(desk.workspace.experiments / STUDENT / "metrics.jsonl")
    assert all(record["time"]["seconds"] >= 0 for record in records)
    assert len(RunFolder(desk.workspace.experiments / STUDENT).attempts()) == 1 + resumed
    finishes(desk, sound)


def killed_in_its_second_epoch(desk: Desk) -> None:
    """The student's worker and the command, as when the machine goes down."""
    with desk.started(*ONE) as process:
        wait_until(lambda: epochs(desk, STUDENT) >= 2, "the student has two epochs")
        kill_group(process)


@pytest.mark.parametrize("age", [3600.0, -3600.0], ids=["long ago", "far ahead"])
def test_a_stale_claim_of_another_host(desk: Desk, sound: dict[str, Any], age: float) -> None:
    """It is taken over, be its last heartbeat long ago or, its clock being wrong, far ahead."""
    claimed_by_node7(desk, age)
    assert desk.states()[STUDENT] == "lost"
    assert causes(desk, STUDENT)[0] == "stale-heartbeat"
    finishes(desk, sound)


@pytest.mark.parametrize("age", [0.0, -60.0], ids=["now", "a little ahead"])
def test_a_fresh_claim_of_another_host(desk: Desk, sound: dict[str, Any], age: float) -> None:
    """The command says who holds the run and waits until somebody unlocks it."""
    claimed_by_node7(desk, age)
    assert desk.states()[STUDENT] == "running" and "node7" in reason(desk, STUDENT)
    heard: list[str] = []
    with desk.started(*ONE) as process:
        assert process.stdout is not None
        listener = threading.Thread(target=lambda: heard.extend(process.stdout or ()))
        listener.start()
        wait_until(lambda: any("stillhouse reset --unlock" in line for line in heard), "it waits")
        assert any(f"{STUDENT} by process" in line and "on node7 (" in line for line in heard)
        assert ("s ahead of this clock" in "".join(heard)) == (age < 0)
        assert "released" in said(desk, "reset", "--unlock", "--format", "md")
        assert process.wait() == 0
        listener.join()
    finishes(desk, sound)


def claimed_by_node7(desk: Desk, age: float) -> None:
    """An attempt of another host, whose last heartbeat was `age` seconds ago."""
    killed_in_its_second_epoch(desk)
    attempt = RunFolder(desk.workspace.experiments / STUDENT).attempts()[-1]
    edit(attempt.claim, lambda claim: claim.update(host="node7"))
    edit(attempt.status, lambda status: status.update(heartbeat=time.time() - age))
