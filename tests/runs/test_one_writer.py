"""Sixteen processes start the same run 500 times: one completes it, always, and none is stuck.

The claims they find are fresh, of dead processes, of other hosts (expired, or from the future),
stopped, or released by hand. In some starts every process poses as a host of its own and the one
that got the run falls asleep past its expiry and wakes up beside, or after, its successor. The
expiry is a second here instead of five minutes; nothing else differs from a real start.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import starting_process
from fake_rounds import RESULT_FACTS, RUN_FACTS
from stillhouse.runs.claim import Claim, release
from stillhouse.runs.complete import KEPT
from stillhouse.runs.files import dump_json
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import dump_sealed

pytestmark = pytest.mark.slow
CONTENDERS = 16
STARTS = 500
SLEEPERS = 12  # each step of falling asleep, each order of waking, twice
EXPIRY = 1.0
LIMIT = 60.0
Answer = dict[str, Any]


class Contender:
    """A process that takes orders."""

    def __init__(self, host: str | None) -> None:
        script = str(starting_process.__file__)
        self.process = subprocess.Popen(
            [sys.executable, script, str(EXPIRY), *([host] if host else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def start(self, folder: RunFolder, sleep: str | None = None) -> None:
        assert self.process.stdin is not None
        order = {"folder": str(folder.path), "result": RESULT_FACTS, "sleep": sleep}
        self.process.stdin.write((json.dumps(order) + "\n").encode())
        self.process.stdin.flush()

    def answer(self) -> Answer:
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        assert ready, "deadlock: no answer"
        return dict(json.loads(self.process.stdout.readline()))

    def asleep(self) -> bool:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"


@contextmanager
def contenders(hosts: bool) -> Iterator[list[Contender]]:
    crowd = [Contender(f"node{i}" if hosts else None) for i in range(CONTENDERS)]
    try:
        yield crowd
    finally:
        for one in crowd:
            one.process.kill()
            one.process.communicate()


def fresh(folder: RunFolder) -> None:
    """Nobody has been here."""


def stopped(folder: RunFolder) -> None:
    Claim.take(folder).write_status("stopped")


def dead(folder: RunFolder) -> None:
    claim = Claim.take(folder)
    claim.write_status("running")
    change(claim, {"started": "another process of the same number"})


def elsewhere(folder: RunFolder, ago: float) -> Claim:
    claim = Claim.take(folder)
    claim.write_status("running")
    change(claim, {"host": "elsewhere"})
    status = {"state": "running", "heartbeat": time.time() - ago}
    claim.attempt.status.write_bytes(dump_json(status))
    return claim


def expired(folder: RunFolder) -> None:
    elsewhere(folder, ago=EXPIRY)


def from_the_future(folder: RunFolder) -> None:
    elsewhere(folder, ago=-1000.0)


def released(folder: RunFolder) -> None:
    release(elsewhere(folder, ago=0.0).attempt)


def change(claim: Claim, facts: dict[str, str]) -> None:
    told = json.loads(claim.attempt.claim.read_text())
    claim.attempt.claim.write_bytes(dump_json(told | facts))


FOUND = (fresh, dead, expired, from_the_future, stopped, released)


def make(path: Path, found: Callable[[RunFolder], None]) -> RunFolder:
    folder = RunFolder(path)
    folder.path.mkdir()
    folder.run.write_bytes(dump_sealed(RUN_FACTS))
    found(folder)
    return folder


def check(folder: RunFolder, answers: list[Answer]) -> None:
    """One completed it, all that is kept is of that attempt, and nothing else is left."""
    winners = [answer for answer in answers if answer["what"] == "completed"]
    assert len(winners) == 1, answers
    number = winners[0]["attempt"]
    assert json.loads(folder.result.read_text())["attempts"] == number
    assert {(folder.path / name).read_text() for name in KEPT} == {str(number)}
    assert {p.name for p in folder.path.iterdir()} == {"run.json", "result.json", "attempts", *KEPT}
    numbers = [int(path.name) for path in sorted((folder.path / "attempts").iterdir())]
    assert numbers == list(range(1, len(numbers) + 1))
    for attempt in folder.attempts():
        names = {path.name for path in attempt.path.iterdir()}
        assert names <= {"claim.json", "status.json", "released.json"}, attempt.path


def overlaps(answers: list[Answer]) -> list[tuple[Answer, Answer]]:
    """Attempts that were held at the same time."""
    held = sorted((a for a in answers if "begun" in a), key=lambda a: a["begun"])
    return [(a, b) for a, b in pairwise(held) if b["begun"] < a["ended"]]


def test_of_sixteen_processes_one_trains(tmp_path: Path) -> None:
    """On one machine, where a process is looked up: holders never overlap, asleep or not."""
    taken = 0
    with contenders(hosts=False) as crowd:
        for start in range(STARTS - SLEEPERS):
            folder = make(tmp_path / str(start), FOUND[start % len(FOUND)])
            for one in crowd:
                one.start(folder)
            answers = [one.answer() for one in crowd]
            check(folder, answers)
            assert overlaps(answers) == []
            taken += sum(answer["what"] == "busy" for answer in answers)
    assert taken > STARTS, "they hardly met"


def test_one_that_sleeps_past_its_expiry_damages_nothing(tmp_path: Path) -> None:
    dice = random.Random(4)
    with contenders(hosts=True) as crowd:
        for start in range(SLEEPERS):
            folder = make(tmp_path / str(start), fresh)
            sleeper = dice.choice(crowd)
            sleeper.start(folder, sleep=starting_process.STEPS[start % len(starting_process.STEPS)])
            while not sleeper.asleep():
                time.sleep(0.002)
            others = [one for one in crowd if one is not sleeper]
            for one in others:
                one.start(folder)
            assert {one.answer()["what"] for one in others} == {"busy"}
            time.sleep(EXPIRY)
            for one in others:
                one.start(folder)
            if start % 2:  # it wakes up while its successor is at work
                os.kill(sleeper.process.pid, signal.SIGCONT)
            answers = [one.answer() for one in others]
            os.kill(sleeper.process.pid, signal.SIGCONT)
            late = sleeper.answer()
            check(folder, [*answers, late])
            if not start % 2:
                assert late["what"] in ("superseded", "late")


def test_a_living_claim_of_another_host_is_respected_until_it_expires(tmp_path: Path) -> None:
    with contenders(hosts=False) as crowd:
        for one in crowd:
            one.start(make(tmp_path / f"to warm up {one.process.pid}", fresh))
        assert {one.answer()["what"] for one in crowd} == {"completed"}
        folder = make(tmp_path / "run", fresh)
        elsewhere(folder, ago=0.0)
        for one in crowd:
            one.start(folder)
        answers = [one.answer() for one in crowd]
        assert {answer["what"] for answer in answers} == {"busy"}
        time.sleep(EXPIRY)
        for one in crowd:
            one.start(folder)
        check(folder, [one.answer() for one in crowd])
