"""Whole passes on real folders: nothing is lost or doubled, whatever dies in between."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, TEACHER, Bench, edit
from fake_scheduler import Dies, FakeScheduler, make_site
from stillhouse.cluster import control
from stillhouse.cluster.policy import Terms
from stillhouse.cluster.scheduler import QueueError
from stillhouse.cluster.script import Workplace
from stillhouse.cluster.store import Locked, Store
from stillhouse.cluster.submit import Pass, Submitter
from stillhouse.runs.files import file_hash

GRACE = 300


class Cluster:
    """A workspace, a fake queue, and a clock that can be moved on."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bench = Bench(root, methods=["pure", "logit"], seeds=[0, 1])
        self.site = make_site(grace=GRACE)
        self.scheduler = FakeScheduler(self.site)
        self.store = Store(self.bench.workspace.jobs)
        self.later = 0.0
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + self.later)

    def submitter(self) -> Submitter:
        return Submitter(
            store=self.store,
            scheduler=self.scheduler,
            terms=Terms(self.site),
            place=Workplace(self.bench.file, self.bench.workspace.root),
            look=self.bench.look,
            teachers=self.bench.workspace.experiments,
            operations={"Digits": {"ResNet20": 4, "ResNetBaby": 1}},
        )

    def go(self, fault: str = "") -> Pass:
        self.scheduler.fault = fault
        with self.store.lock() as prolong:
            return self.submitter().run(prolong)

    def prove(self) -> None:
        """A pure student that has finished an epoch, so that no canary is needed."""
        self.bench.end(f"{PURE}/0", "stopped", "the time allowed to the job is over")

    def leave_queue(self, name: str, **ended: float) -> None:
        """The job ran and is gone; without `ended` it was killed."""
        self.scheduler.queue = [job for job in self.scheduler.queue if job.name != name]
        folder = self.store.folder(int(name[2:7]))
        (folder / "starts.jsonl").write_text(json.dumps({"node": "n1", "time": time.time()}) + "\n")
        if ended:
            (folder / "ended.json").write_text(json.dumps(ended))

    def complete(self, path: str) -> None:
        self.bench.finish(path, 90.0)
        folder = self.bench.folder(path)
        folder.final.write_bytes(b"weights")
        edit(folder.result, lambda result: result["weights"].update(final=file_hash(folder.final)))


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(tmp_path / "w", monkeypatch)


def paths(done: Pass) -> list[str]:
    return [path for job in done.submitted for path in job.request.paths]


def test_a_pass_lists_once_and_a_second_one_changes_nothing(cluster: Cluster) -> None:
    cluster.prove()
    first = cluster.go()
    assert sorted(paths(first)) == sorted(
        [f"{TEACHER}/0", f"{TEACHER}/1", f"{PURE}/0", f"{PURE}/1"]
    )
    assert cluster.scheduler.listings == 1
    for _ in range(3):
        assert cluster.go().submitted == []
    assert len(cluster.scheduler.submitted) == 4
    assert set(cluster.go().decision.left.values()) == {"in the queue", "waits for its teacher"}


def test_students_follow_a_verified_teacher_only(cluster: Cluster) -> None:
    cluster.complete(f"{TEACHER}/0")
    assert f"{LOGIT}/0" in paths(cluster.go())
    cluster.complete(f"{TEACHER}/1")
    cluster.bench.folder(f"{TEACHER}/1").final.write_bytes(b"other weights")
    done = cluster.go()
    assert f"{LOGIT}/1" not in paths(done)
    assert "recorded" in done.decision.left[f"{LOGIT}/1"]


def test_without_a_listing_nothing_is_submitted(cluster: Cluster) -> None:
    with pytest.raises(QueueError, match="Connection refused"):
        cluster.go("no listing")
    assert cluster.scheduler.submitted == [] and cluster.store.numbers() == []


@pytest.mark.parametrize("fault", ["die before", "die after", "refused", "lost answer"])
def test_a_crash_around_the_submission_neither_loses_nor_doubles(
    cluster: Cluster, fault: str
) -> None:
    with pytest.raises((Dies, QueueError)):
        cluster.go(fault)
    assert len(cluster.store.numbers()) == 1
    arrived = len(cluster.scheduler.submitted)
    assert arrived == (fault in ("die after", "lost answer"))
    assert cluster.go().submitted == []
    cluster.later = GRACE + 1
    done = cluster.go()
    if arrived:
        assert done.submitted == [] and cluster.store.job(1).id == "100"
    else:
        assert [ending.outcome for _, ending in done.closed] == ["unsent"]
        assert len(done.submitted) == 1
    assert len(cluster.scheduler.submitted) == 1


@pytest.mark.parametrize("moment", ["identify", "close", "save"])
def test_a_crash_between_any_two_writes_is_made_good(
    cluster: Cluster, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cluster.go().submitted[0]
    if moment != "identify":
        cluster.leave_queue(first.name, exit=3, seconds=700)
        cluster.bench.end(f"{TEACHER}/0", "stopped", "over")

    def die(*_: object, **__: object) -> None:
        raise Dies

    with monkeypatch.context() as patch:
        patch.setattr(Store, moment, die)
        if moment == "identify":
            cluster.prove()
        with pytest.raises(Dies):
            cluster.go()
    done = cluster.go()
    cluster.later = GRACE + 1
    cluster.go()
    names = cluster.scheduler.submitted
    assert len(set(names)) == len(names)
    alive = [
        path for job in cluster.store.jobs(cluster.store.ledger()) for path in job.request.paths
    ]
    assert len(set(alive)) == len(alive)
    assert len(cluster.scheduler.queue) == len(alive) <= cluster.site.cap
    if moment != "identify":
        assert [ending.outcome for _, ending in done.closed] == ["left"]
        assert cluster.store.ledger().below == 2


def test_a_job_missing_from_a_lagging_list_is_not_submitted_again(cluster: Cluster) -> None:
    cluster.go()
    assert cluster.go("empty listing").submitted == []
    assert len(cluster.scheduler.submitted) == 1


def test_a_vanished_job_is_closed_and_its_late_start_does_nothing(cluster: Cluster) -> None:
    job = cluster.go().submitted[0]
    cluster.later = GRACE + 1
    done = cluster.go("empty listing")
    assert [ending.outcome for _, ending in done.closed] == ["vanished"]
    assert (
        "[ -e ending.json ] && exit 0"
        in (cluster.store.folder(job.number) / "script.sh").read_text()
    )
    assert (cluster.store.folder(job.number) / "ending.json").exists()


def test_a_run_that_is_alive_keeps_its_job_open(cluster: Cluster) -> None:
    job = cluster.go().submitted[0]
    cluster.bench.begin(f"{TEACHER}/0")
    cluster.leave_queue(job.name)
    assert cluster.go().closed == []


def test_a_full_queue_is_no_error_and_blocks_nothing(cluster: Cluster) -> None:
    done = cluster.go("full")
    assert "per-user limit" in done.full and done.submitted == []
    assert len(cluster.go().submitted) == 1


def test_one_missing_package_costs_two_jobs_not_eight(cluster: Cluster) -> None:
    for _ in range(4):
        for job in cluster.go().submitted:
            cluster.leave_queue(job.name, exit=1, seconds=4)
            (cluster.store.folder(job.number) / "output.txt").write_text(
                "Traceback\nModuleNotFoundError: No module named 'scipy'\n"
            )
    assert len(cluster.scheduler.submitted) == 2
    assert "No module named 'scipy'" in cluster.go().decision.halt
    control.retry(cluster.store, cluster.bench.look(), failed=False)
    assert len(cluster.go().submitted) == 1


def test_cancel_holds_the_round_until_retry(cluster: Cluster) -> None:
    cluster.prove()
    cluster.go()
    with cluster.store.lock() as prolong:
        ids, errors = control.cancel(cluster.store, cluster.scheduler, None, prolong)
    assert (sorted(ids), errors) == (["100", "101", "102", "103"], [])
    cluster.later = GRACE + 1
    assert "held" in cluster.go().decision.halt
    control.retry(cluster.store, cluster.bench.look(), failed=False)
    assert len(cluster.go().submitted) == 4


def test_cancelling_some_runs_leaves_the_others(cluster: Cluster) -> None:
    cluster.prove()
    cluster.go()
    with cluster.store.lock() as prolong:
        ids, _ = control.cancel(cluster.store, cluster.scheduler, {f"{PURE}/1"}, prolong)
    assert len(ids) == 1 and len(cluster.scheduler.queue) == 3
    assert cluster.go().decision.halt == ""


def test_retry_failed_tries_a_failed_run_once_more(cluster: Cluster) -> None:
    cluster.bench.end(f"{TEACHER}/0", "failed", "the loss term 'ce' is not finite")
    assert f"{TEACHER}/0" not in paths(cluster.go())
    assert control.retry(cluster.store, cluster.bench.look(), failed=True) == [f"{TEACHER}/0"]
    assert f"{TEACHER}/0" in paths(cluster.go())


def test_only_one_pass_at_a_time(cluster: Cluster) -> None:
    with (
        cluster.store.lock(),
        pytest.raises(Locked, match="is running"),
        cluster.store.lock(),
    ):
        pass
    assert list(cluster.store.path.glob("lock*")) == []


def test_names_are_legal_unique_and_lead_back_to_runs(cluster: Cluster) -> None:
    job = cluster.go().submitted[0]
    assert job.name.isascii() and len(job.name) <= 15 and "/" not in job.name
    assert job.name[0].isalpha() and len(cluster.store.name(99_999)) <= 15
    assert cluster.store.job(int(job.name[2:7])).request.paths == (f"{TEACHER}/0",)
    assert Store(cluster.store.path.parent).name(1) != cluster.store.name(1)


def test_dry_run_prints_what_would_be_submitted_and_writes_nothing(cluster: Cluster) -> None:
    cluster.bench.workspace.experiments.mkdir(parents=True, exist_ok=True)
    before = sorted(os.walk(cluster.bench.workspace.root))
    decision, scripts = cluster.submitter().scripts([])
    assert len(decision.requests) == len(scripts) == 1
    assert cluster.store.name(1) in scripts[0] and f"{TEACHER}/0" in scripts[0]
    assert sorted(os.walk(cluster.bench.workspace.root)) == before


def test_every_ended_job_leaves_a_record(cluster: Cluster) -> None:
    job = cluster.go().submitted[0]
    cluster.bench.end(f"{TEACHER}/0", "stopped", "the time allowed to the job is over")
    cluster.leave_queue(job.name, exit=3, seconds=700)
    cluster.go()
    record = json.loads((cluster.store.folder(1) / "ending.json").read_text())
    assert (record["id"], record["node"], record["exit"], record["seconds"]) == (
        "100",
        "n1",
        3,
        700,
    )
    gain = record["runs"][f"{TEACHER}/0"]
    assert (gain["gained"], gain["out_of_time"], gain["memory"]) == (1, True, 0)
