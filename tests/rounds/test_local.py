from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

from stillhouse.cli.options import cuda_devices
from stillhouse.rounds.local import Local, visible_gpus
from stillhouse.rounds.survey import Survey
from stillhouse.runs.environment import KEEP_MEMORY
from stillhouse.show.progress import Progress

WRITE = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"


def test_workers_keep_freed_memory_unless_the_user_chose_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in KEEP_MEMORY:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "4096")

    def look() -> Survey:
        raise AssertionError("not asked for")

    found = tmp_path / "environment.json"
    command = [sys.executable, "-c", WRITE, str(found)]
    local = Local(look, lambda cells: command, jobs=1, progress=Progress(Console()))
    local._start(0, [])
    assert local.workers[0].process.wait() == 0
    local._reap()
    variables = json.loads(found.read_text())
    assert {name: variables[name] for name in KEEP_MEMORY} == {
        **KEEP_MEMORY,
        "MALLOC_TOP_PAD_": "4096",
    }


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
