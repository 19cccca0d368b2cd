from __future__ import annotations

import pytest
import torch

from stillhouse.cli.options import cuda_devices
from stillhouse.rounds.local import visible_gpus


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
