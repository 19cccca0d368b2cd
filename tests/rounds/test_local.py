from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from fake_rounds import TEACHER, Bench
from stillhouse.cli.options import cuda_devices, workers_per_gpu
from stillhouse.rounds import local as local_module
from stillhouse.rounds.local import LOOKING, TRIES, Local, Worker, visible_gpus, worker_command
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.show.progress import Progress


@pytest.mark.parametrize(
    ("device", "count", "named", "expected"),
    [
        ("auto", 2, None, ["0", "1"]),
        ("cuda", 2, "3,GPU-5f", ["3", "GPU-5f"]),
        ("cuda", 0, "", []),
        ("cuda:1", 1, None, []),
        ("cpu", 0, "0", []),
    ],
)
def test_workers_share_out_the_gpus_that_the_user_left_visible(
    device: str, count: int, named: str | None, expected: list[str]
) -> None:
    variables = {} if named is None else {"CUDA_VISIBLE_DEVICES": named}
    assert visible_gpus(device, count, variables) == expected


@pytest.mark.parametrize(("device", "workers"), [("cuda:0", 1), ("cuda", 4), ("cpu", 0)])
def test_a_gpu_named_by_number_gets_one_worker(
    device: str, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert cuda_devices(device) == workers


@pytest.mark.parametrize(
    ("jobs", "device", "share"),
    [(4, "auto", 1), (5, "auto", 2), (3, "cuda:0", 3), (3, "cpu", 1), (1, "auto", 1)],
)
def test_workers_are_told_how_many_share_their_gpu(
    jobs: int, device: str, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert workers_per_gpu(jobs, device) == share
    told = worker_command(Path(), Path(), Path(), device, share=share)([])
    named = [told[place + 1] for place, word in enumerate(told) if word == "--share"]
    assert named == ([str(share)] if share > 1 else [])


def started(bench: Bench, jobs: int, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The runs of every process that is started, if each ends at once and trains nothing."""
    local = Local(bench.look, lambda cells: [], jobs, Progress(Console()))
    found: list[set[str]] = []

    def start(slot: int, cells: list[Cell]) -> None:
        assert slot < jobs
        found.append({f"{cell.config.method} {cell.config.seed}" for cell in cells})
        local.tries |= dict.fromkeys((cell.config.path for cell in cells), TRIES)

    monkeypatch.setattr(local, "_start", start)
    local.run()
    return found


def test_a_group_is_split_only_for_a_worker_that_would_idle(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in (0, 1):
        bench.finish(f"{TEACHER}/{seed}", 90.0)
    whole = [{f"{method} {seed}" for method in ("pure", "logit", "rkd")} for seed in (0, 1)]
    assert started(bench, 1, monkeypatch) == whole
    assert started(bench, 2, monkeypatch) == whole
    for path in bench.runs:
        if path.endswith("/1"):
            bench.finish(path, 80.0)
    parts = started(bench, 2, monkeypatch)
    assert sorted(map(len, parts)) == [1, 2]
    assert set.union(*parts) == whole[0]


@dataclass
class Clock:
    """The module `time`, in which nothing waits."""

    now: float = 0.0
    used: float = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.used


@pytest.mark.parametrize("ends", [3.0, 60.0])
def test_looking_takes_a_small_share_and_a_worker_that_ends_is_seen_at_once(
    ends: float, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, looks = Clock(), list[float]()
    monkeypatch.setattr(local_module, "time", clock)

    def look() -> Survey:
        looks.append(clock.now)
        clock.used += 0.2
        return bench.look()

    local = Local(look, lambda cells: [], 1, Progress(Console()))
    process: Any = SimpleNamespace(poll=lambda: 0 if clock.now >= ends else None, returncode=0)

    def start(slot: int, cells: list[Cell]) -> None:
        if not local.tries:
            local.workers.append(Worker(process, cells, BytesIO(), slot))
        local.tries |= dict.fromkeys((cell.config.path for cell in cells), TRIES)

    monkeypatch.setattr(local, "_start", start)
    local.run()
    assert min(abs(at - ends) for at in looks) < 1
    during = [at for at in looks if at < ends]
    assert 0.2 * len(during) <= LOOKING * ends + 0.4
    assert len(during) >= 2
