"""The policy on its own: what is submitted, and why the rest is not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fake_scheduler import make_site
from stillhouse.cluster.jobs import Ending, Gain, Job, Request
from stillhouse.cluster.ledger import Ledger, Past
from stillhouse.cluster.policy import Decision, Terms, decide
from stillhouse.config.schema import RunConfig, Teacher, Training
from stillhouse.rounds.survey import Cell
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.state import RunState

A_TEACHER = Teacher(model="big", seed=0)


def run(dataset: str, method: str, model: str = "small", seed: int = 0) -> Cell:
    """A run that has not started; all of ten epochs."""
    taught_by = None if method == "pure" else A_TEACHER
    training = Training(epochs=10)
    config = RunConfig(
        dataset=dataset, method=method, model=model, seed=seed, teacher=taught_by, training=training
    )
    return Cell(config, RunFolder(Path()), RunState("missing"), None)


TEACHER = run("A", "pure", "big")
STUDENTS = [run("A", f"m{i}") for i in range(4)]
PURE = run("A", "pure")
OTHER = [run("B", "pure", seed=i) for i in range(3)]
T, P, B = TEACHER.path, PURE.path, [cell.path for cell in OTHER]
COSTS = {T: 2.0, **dict.fromkeys(B, 5.0)}
DONE = RunState("done", epoch=10, attempts=1)
PROVEN = RunState("stopped", epoch=1, attempts=1)


def job(number: int, *paths: str, since: int = 0) -> Job:
    request = Request((paths,), make_site().resources)
    return Job(number, f"kd{number}", request, dict.fromkeys(paths, (since, 0)), 0.0, str(number))


def choose(
    runs: Iterable[Cell],
    now: dict[str, RunState] | None = None,
    taught: set[str] | None = None,
    jobs: Iterable[Job] = (),
    live: int | None = None,
    ledger: Ledger | None = None,
    **terms: object,
) -> Decision:
    cells, jobs = list(runs), list(jobs)
    cells = [replace(cell, state=(now or {}).get(cell.path, cell.state)) for cell in cells]
    ready = {cell.path for cell in cells if cell.config.teacher is None}
    site = make_site(**terms.pop("site", {}))  # type: ignore[arg-type]
    return decide(
        cells,
        {cell.path: COSTS.get(cell.path, 1.0) for cell in cells},
        ready if taught is None else taught,
        jobs,
        len(jobs) if live is None else live,
        ledger or Ledger(),
        Terms(site, **terms),  # type: ignore[arg-type]
    )


def submitted(decision: Decision) -> list[tuple[str, ...]]:
    return [request.paths for request in decision.requests]


def test_a_canary_goes_first_in_each_dataset() -> None:
    decision = choose([TEACHER, PURE, *OTHER])
    assert submitted(decision) == [(B[0],), (T,)]
    assert decision.left[B[1]] == "waits until a job of B has finished an epoch"
    assert submitted(choose([*OTHER], jobs=[job(1, B[0])])) == []
    after = choose([*OTHER], {B[0]: PROVEN}, jobs=[job(1, B[0])])
    assert submitted(after) == [(B[1],), (B[2],)]


def test_students_wait_for_their_teacher_and_hold_no_slot() -> None:
    decision = choose([TEACHER, *STUDENTS], {T: PROVEN})
    assert submitted(decision) == [(T,)]
    assert {decision.left[run.path] for run in STUDENTS} == {"waits for its teacher"}
    ready = choose([TEACHER, *STUDENTS], {T: DONE}, taught={run.path for run in STUDENTS})
    assert len(ready.requests) == 4


def test_the_longest_way_to_the_end_goes_first() -> None:
    short = run("A", "pure", seed=9)  # of half the teacher's cost and a student's together
    COSTS[short.path] = 2.5
    decision = choose([short, TEACHER, *STUDENTS], {short.path: PROVEN}, site={"cap": 1})
    assert submitted(decision) == [(T,)]


def test_the_cap_counts_every_job_of_the_user() -> None:
    now = dict.fromkeys([run.path for run in OTHER], PROVEN)
    assert len(choose(OTHER, now, live=2).requests) == 2
    decision = choose(OTHER, now, live=7)
    assert (decision.requests, decision.left[B[0]]) == ([], "no free slot (cap 4)")


def test_what_is_done_queued_or_alive_is_not_submitted() -> None:
    now = {B[0]: DONE, B[1]: RunState("running", epoch=1, attempts=1), B[2]: PROVEN}
    decision = choose(OTHER, now, jobs=[job(1, B[2])])
    assert decision.requests == []
    assert decision.left == {B[1]: "being trained", B[2]: "in the queue"}


def test_a_failed_run_is_not_tried_again_unless_somebody_says_so() -> None:
    now = {B[0]: RunState("failed", "loss is not finite", 3, attempts=2)}
    assert choose(OTHER[:1], now).left[B[0]] == "failed: loss is not finite"
    ledger = Ledger()
    ledger.allow_again({B[0]: 2})
    assert submitted(choose(OTHER[:1], now, ledger=ledger)) == [(B[0],)]
    now[B[0]] = RunState("failed", "again", 3, attempts=3)
    assert choose(OTHER[:1], now, ledger=ledger).requests == []


def test_a_stuck_run_is_left() -> None:
    ledger = Ledger(runs={B[0]: Past(dry=2)})
    assert choose(OTHER[:1], ledger=ledger).left[B[0]].startswith("stuck: 2 jobs")


def test_after_running_out_of_memory_it_asks_for_more_up_to_the_ceiling() -> None:
    now = {B[0]: RunState("failed", "told in other words", 0, attempts=1, code="oom-gpu")}
    asked = []
    for times in range(4):
        decision = choose(OTHER[:1], now, ledger=Ledger(runs={B[0]: Past(memory=times)}))
        asked.append(decision.requests[0].resources.memory_gb if decision.requests else None)
    assert asked == [8, 12, 16, None]
    assert "ceiling of 16 GB" in decision.left[B[0]]


def test_cohorts_go_as_one_job_and_split_where_memory_was_short() -> None:
    runs, taught = [*STUDENTS, PURE], {run.path for run in [*STUDENTS, PURE]}
    now = {P: PROVEN}
    assert [len(one) for one in submitted(choose(runs, now, taught, cohorts=True))] == [5]
    ledger = Ledger(runs={run.path: Past(together=3) for run in runs})
    halves = submitted(choose(runs, now, taught, ledger=ledger, cohorts=True))
    assert [len(one) for one in halves] == [3, 2]


def test_a_pure_student_of_a_waiting_cohort_fills_an_idle_slot_only() -> None:
    runs, now = [TEACHER, *STUDENTS, PURE, *OTHER], {T: PROVEN, B[0]: PROVEN}
    assert (P,) not in submitted(choose(runs, now, cohorts=True))
    assert submitted(choose(runs, now, cohorts=True, site={"cap": 5}))[-1] == (P,)


def test_processes_that_share_a_gpu_are_packed() -> None:
    site = {"resources": {"memory_gb": 8, "gpus": 2, "walltime": "1:00:00"}}
    now, taught = {STUDENTS[0].path: PROVEN}, {run.path for run in STUDENTS}
    decision = choose(STUDENTS, now, taught, site=site)
    assert [len(request.groups) for request in decision.requests] == [2, 2]
    decision = choose(STUDENTS, now, taught, site=site, runs_per_gpu=2)
    assert [len(request.groups) for request in decision.requests] == [4]


def test_two_jobs_failing_alike_at_once_stop_the_round() -> None:
    gain = Gain("missing", 0, False, False, False, "", 0)
    ledger = Ledger()
    for number, module in ((1, "a/b.py"), (2, "c/d.py")):
        reason = f"{module}:12: ModuleNotFoundError: No module named 'scipy'"
        ledger.close(job(number, f"B/{number}"), Ending("failed", reason, 1, "n", 5, {B[1]: gain}))
        assert bool(ledger.halt) == (number == 2)
    decision = choose(OTHER, ledger=ledger)
    assert decision.requests == []
    assert "jobs 1, 2 failed" in decision.halt and "scipy" in decision.halt
    ledger.allow_again({})
    assert choose(OTHER, ledger=ledger).requests


def test_a_slow_failure_does_not_stop_the_round() -> None:
    ledger = Ledger()
    for number in (1, 2):
        ledger.close(job(number), Ending("failed", "the same", 1, "n", 600))
    assert ledger.halt == ""


def test_jobs_that_never_start_stop_the_round_in_the_end() -> None:
    ledger = Ledger()
    for number in range(1, 6):
        assert ledger.halt == ""
        ledger.close(job(number), Ending("vanished", "gone", None, "", 0))
    assert "5 jobs in a row" in ledger.halt


def test_the_ledger_survives_the_disk_and_folds_a_job_once() -> None:
    ledger = Ledger(held="no", forgiven={"a": 1})
    for number in (1, 3):
        ledger.close(job(number, "a"), Ending("unsent", "", None, "", 0))
    assert (ledger.below, ledger.folded) == (2, {3})
    assert [ledger.contains(number) for number in (1, 2, 3, 4)] == [True, False, True, False]
    assert Ledger.load(ledger.dump()) == ledger
