"""Every method learns in reduced precision: no step is skipped once the scaler has settled."""

from __future__ import annotations

import pytest
import torch

from small_runs import ALL_METHODS, Lab
from stillhouse.training.precision import autocast, full_precision, pick_device


@pytest.mark.long
@pytest.mark.parametrize(("precision", "epochs"), [("bf16", 3), ("fp16", 4)])
def test_methods_train_in_reduced_precision(precision: str, epochs: int, lab: Lab) -> None:
    configs = [lab.run(method, precision=precision, epochs=epochs) for method in ALL_METHODS]
    lab.train(*configs)
    for config in configs:
        records = lab.folder(config).records()
        assert len(records) == epochs, config.method
        assert [record["scaler"]["skipped"] for record in records[-2:]] == [0, 0], config.method
        assert all(record["update_ratio"] > 0 for record in records[-2:]), config.method
        totals = [record["train"]["total"] for record in records]
        assert totals[-1] < totals[0], config.method


def test_losses_are_computed_in_float32_inside_autocast() -> None:
    cpu = torch.device("cpu")
    a = torch.randn(4, 4)
    with autocast("bf16", cpu):
        assert (a @ a).dtype == torch.bfloat16
        with full_precision(cpu):
            assert (a @ a).dtype == torch.float32
    with autocast("fp32", cpu):
        assert (a @ a).dtype == torch.float32


def test_the_device_is_picked_by_name() -> None:
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
