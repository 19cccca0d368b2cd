"""The average of the weights: its formula, and what a run records of it."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from small_runs import Lab
from stillhouse import models
from stillhouse.plugin import read_plugin
from stillhouse.training.ema import Ema

EXAMPLES = Path(__file__).parents[2] / "examples"


def change(model: nn.Module) -> None:
    """What a step does: other weights, other batch-norm statistics, one more batch counted."""
    with torch.no_grad():
        for value in model.parameters():
            value += torch.randn_like(value)
    model.train()(torch.randn(4, 1, 8, 8))


def test_the_average_is_pytorchs_ema_that_began_at_the_first_weights() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    ours = Ema(model, 0.75)
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.75), use_buffers=True)
    theirs.update_parameters(model)  # its first update copies
    for _ in range(3):
        change(model)
        ours.update()
        theirs.update_parameters(model)
    expected = theirs.module.state_dict()
    found = ours.model.state_dict()
    assert found.pop("1.num_batches_tracked") == 3
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name])
        assert not torch.equal(value, model.state_dict()[name])


def test_the_average_of_a_tapped_network_is_computed_by_the_copy() -> None:
    """Hooks of the copy must look at the copy: its outputs follow its own weights."""
    from stillhouse import data

    spec = data.spec("Digits")
    network = models.build("mobilenet_v2", spec, (read_plugin(EXAMPLES / "mobilenet_v2.py"),))
    average = Ema(network, 0.5).model
    images = torch.randn(2, spec.channels, spec.size, spec.size)
    before = average(images)
    for value in network.parameters():
        value.data.zero_()
    assert torch.equal(average(images).logits, before.logits)
    last = next(iter(before.features))
    assert torch.equal(average(images).features[last], before.features[last])


def test_a_run_records_the_average_beside_the_raw_weights(lab: Lab) -> None:
    plain, averaged = lab.run("logit"), lab.run("logit", ema_decay=0.5)
    lab.train(plain)
    raw = lab.outcome(plain)
    folder = lab.folder(plain)
    moved = folder.path.rename(folder.path.with_name("before"))
    lab.train(averaged)
    assert lab.outcome(averaged)["weights"].items() > raw["weights"].items()
    records = [json.loads(line) for line in folder.metrics().read_text().splitlines()]  # type: ignore[union-attr]
    assert {*records[-1]["ema"]} == {"test"}
    assert {*records[-1]["ema"]["test"]} == {*records[-1]["test"]}
    assert [{k: v for k, v in r.items() if k not in ("ema", "time")} for r in records] == raw[
        "records"
    ]
    average, final = load_file(folder.ema), load_file(folder.final)
    assert {*average} == {*final}
    assert not torch.equal(average["head.weight"], final["head.weight"])
    assert not (moved / folder.ema.name).exists()


def test_the_average_is_over_the_evaluated_network(lab: Lab) -> None:
    """SimKD evaluates the student with the teacher's head: so does its average."""
    config = lab.run("simkd", ema_decay=0.5)
    lab.train(config)
    folder = lab.folder(config)
    assert {*load_file(folder.ema)} == {*load_file(folder.final)}


def test_a_decay_of_nearly_1_keeps_the_first_weights(lab: Lab) -> None:
    cohort = lab.open(lab.run("pure", ema_decay=1 - 1e-9))
    trainer = cohort.members[0].trainer
    first = copy.deepcopy(trainer.network.state_dict())
    trainer.step(cohort.shared.batches.batch(0, 0), None)
    assert trainer.ema is not None
    average = trainer.ema.model.state_dict()
    for name, value in first.items():
        if value.is_floating_point():
            torch.testing.assert_close(average[name], value, rtol=0, atol=1e-6)
    assert any(not torch.equal(first[n], v) for n, v in trainer.network.state_dict().items())


@pytest.mark.parametrize("limit", [1e-4, 1e6])
def test_the_share_of_clipped_steps_is_recorded(lab: Lab, limit: float) -> None:
    config = lab.run("pure", clip_grad_norm=limit)
    lab.train(config)
    record = lab.outcome(config)["records"][-1]
    assert record["gradients"]["clipped"] == (100 if limit < 1 else 0)
    assert record["gradients"]["norm"] > 1e-3
    assert "gradient_clipped" not in record["train"]
