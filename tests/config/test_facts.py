from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from stillhouse import data, methods, models
from stillhouse.config import facts
from stillhouse.config.facts import loss_weights, multiplications, published
from stillhouse.config.schema import Distillation, RunConfig
from stillhouse.methods.objective import coefficients
from stillhouse.plugin import read_plugin


@pytest.mark.parametrize("name", ["ResNet20", "MobileNetV2", "vgg8"])
def test_multiplications_are_those_that_torch_counts(name: str) -> None:
    spec = data.spec("Cifar100")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        models.build(name, spec).eval()(torch.zeros(1, spec.channels, spec.size, spec.size))
    assert multiplications(name, spec) == counter.get_total_flops() / 2


@pytest.mark.parametrize("total", ["reference", "convex", "additive"])
def test_the_weights_of_a_run_are_those_of_its_method(total: str) -> None:
    run = RunConfig(
        dataset="Digits",
        method="factor_transfer",
        model="ResNetBaby",
        seed=0,
        parameters={"variant": "crd"},
        distillation=Distillation.model_validate({"total": total}),
    )
    kind = methods.load(run.method)
    reference = kind.reference(kind.Config.model_validate({"variant": "crd"}))
    assert loss_weights(run) == coefficients(reference, run.distillation.total, None)
    plain = run.model_copy(update={"parameters": {}})
    assert published(run)[1] != published(plain)[1]


def test_what_a_file_tells_is_computed_once_and_again_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(facts, "facts", facts.Facts)  # as in a new process
    counted: list[str] = []

    def count(name: str, *_: object) -> int:
        counted.append(name)
        return 7

    monkeypatch.setattr(facts, "count_multiplications", count)
    spec, file = data.spec("Digits"), tmp_path / "own_net.py"
    for text in ("def build(classes, channels): ...", "def build(classes, channels): pass"):
        file.write_text(f'"""A network."""\n{text}\n')
        files = (read_plugin(file),)
        assert [multiplications("own_net", spec, files) for _ in range(2)] == [7, 7]
    assert counted == ["own_net", "own_net"]
