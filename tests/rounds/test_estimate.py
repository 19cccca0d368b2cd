"""What a round of cohorts costs, against rounds whose true times are known."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit
from stillhouse.rounds.cost import processes, recorded_costs
from stillhouse.rounds.estimate import EpochCost, Process, Work, clock_seconds, proposal

LOADING, TAUGHT = 0.4, 3.0  # seconds of an epoch, which the students of a seed share
OWN = {TEACHER: 20.0, PURE: 6.0, LOGIT: 6.5, RKD: 9.0}
EPOCHS = 2


def process(*costs: EpochCost | None, epochs: int = 1, waits_for: str | None = None) -> Process:
    runs = enumerate(costs)
    return Process(tuple(Work(str(n), epochs, c, 50, waits_for=waits_for) for n, c in runs))


def record(bench: Bench, path: str, noise: random.Random, old: bool = False) -> None:
    """Finish a run whose last epoch took its true time, more or less."""
    own, taught = (
        OWN[path.rpartition("/")[0]] * noise.uniform(0.9, 1.1),
        path.startswith("Digits/l"),
    )
    time: dict[str, Any] = {"seconds": own}
    if not old:
        teacher = TAUGHT * noise.uniform(0.9, 1.1) if taught or RKD in path else 0.0
        time = {"seconds": own + LOADING + teacher, "loading": LOADING, "teacher": teacher}
    bench.finish(path, 80.0)
    edit(bench.folder(path).result, lambda result: result["final"].update(time=time))


def truth(seeds: int, noise: random.Random) -> float:
    """Train teachers and cohorts, an epoch at a time: the teacher's pass once for all students."""
    spent = 0.0
    for _ in range(seeds * EPOCHS):
        spent += (LOADING + OWN[TEACHER]) * noise.uniform(0.9, 1.1)
        spent += LOADING + TAUGHT * noise.uniform(0.9, 1.1)
        spent += sum(OWN[path] * noise.uniform(0.9, 1.1) for path in (PURE, LOGIT, RKD))
    return spent


@pytest.mark.parametrize("old", [False, True], ids=["recorded", "recorded by older versions"])
def test_a_round_is_predicted_within_a_fifth_by_one_finished_seed(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    noise = random.Random(3)
    bench = Bench(tmp_path, seeds=[0, 1, 2, 3])
    for path in OWN:
        record(bench, f"{path}/0", noise, old)
    survey = bench.look()
    found = processes(survey, recorded_costs(survey))
    true = truth(3, noise)
    assert sum(one.seconds for one in found) == pytest.approx(true, rel=0.2)
    assert sum(one.alone for one in found) > sum(one.seconds for one in found)


def test_what_is_not_recorded_is_not_known(bench: Bench) -> None:
    """Of a kind without an epoch nothing is said; the others have their time."""
    record(bench, f"{TEACHER}/0", random.Random(0))
    record(bench, f"{LOGIT}/0", random.Random(0))
    survey = bench.look()
    known = {
        run.path
        for one in processes(survey, recorded_costs(survey))
        for run in one.runs
        if run.cost
    }
    assert known == {f"{TEACHER}/1", f"{LOGIT}/1"}


def test_an_unfinished_run_tells_what_an_epoch_costs(bench: Bench) -> None:
    claim = bench.begin(f"{LOGIT}/0")
    time = {"seconds": 5.0, "loading": 1.0, "teacher": 0.5, "runs": 3}
    line = json.dumps({"epoch": 1, "test": {"accuracy": 50.0}, "time": time})
    claim.attempt.metrics.write_text(line + "\n")
    claim.write_status("stopped", epoch=1, step=0)
    costs = recorded_costs(bench.look())
    assert costs[f"{LOGIT}/1"] == EpochCost(own=3.5, loading=1.0, teacher=0.5, runs=3)


def test_a_cohort_shares_batches_and_the_teachers_pass() -> None:
    pure, logit = EpochCost(5.0, 1.0), EpochCost(6.0, 1.0, 3.0)
    both = process(pure, logit, epochs=10)
    assert both.alone == 10 * (6.0 + 10.0)
    assert both.seconds == 10 * (5.0 + 6.0 + 1.0 + 3.0)
    assert sum(both.shares().values()) == pytest.approx(both.seconds)


def test_a_run_ahead_of_its_cohort_needs_no_batches_again() -> None:
    cost = EpochCost(1.0, 1.0)
    ahead = Process((Work("a", 2, cost), Work("b", 10, cost)))
    assert ahead.seconds == 2 + 10 + 10


def test_memory_grows_with_the_runs_of_a_process() -> None:
    recorded = EpochCost(1.0, memory=1000, runs=2)
    assert process(recorded, recorded).memory == 1000
    assert process(recorded, recorded, recorded, recorded).memory == 1000 + 2 * 50
    assert process(None).memory == process(EpochCost(1.0)).memory == 0


def test_students_wait_for_their_teacher() -> None:
    def runs(path: str, seconds: float, waits_for: str | None = None) -> Process:
        return Process((Work(path, 1, EpochCost(seconds), waits_for=waits_for),))

    teachers = [runs("t0", 10), runs("t1", 4)]
    students = [runs("s0", 5, "t0"), runs("s1", 5, "t1"), runs("p", 3), runs("far", 1, "elsewhere")]
    assert clock_seconds([*teachers, *students], 1) == 28
    # One worker: t0 until 10, s0 until 15. The other: t1 until 4, s1 until 9, p until 12, far.
    assert clock_seconds([*teachers, *students], 2) == 15
    assert clock_seconds([*teachers, *students], 9) == 15
    assert clock_seconds([], 2) == 0


def test_a_site_is_asked_for_a_quarter_more() -> None:
    walltime, gigabytes = proposal([process(EpochCost(3600.0, memory=3_000_000_000))], 180)
    assert 1.25 * 3600 + 180 <= walltime < 1.25 * 3600 + 180 + 600
    assert gigabytes == 4
    assert proposal([process(EpochCost(1.0))], 180)[1] is None
