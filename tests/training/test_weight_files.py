"""Checkpoints as other repositories write them: the same logits, and nothing is executed."""

from __future__ import annotations

import os
import re
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

from stillhouse import models
from stillhouse.data.specs import SPECS
from stillhouse.errors import RunError
from stillhouse.models.base import Network
from stillhouse.models.named import NamedNetwork
from stillhouse.training.weight_files import put_weights, read_weights, start_from

SPEC = SPECS["Cifar10"]
State = dict[str, Tensor]


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    return models.build("ResNetBaby", SPEC).eval()


def logits(network: Network) -> Tensor:
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found: Tensor = network.eval()(images).logits
    return found


def renamed(state: State, *pairs: tuple[str, str]) -> State:
    """The state with other names: each pattern is replaced at the beginning of a name."""
    found = {}
    for name, value in state.items():
        for pattern, new in pairs:
            name = re.sub(pattern, new, name)
        found[name] = value
    return found


FIELD = (
    (r"^conv\.", "conv1."),
    (r"^bn\.", "bn1."),
    (r"^head\.", "fc."),
    ("shortcut", "downsample"),
)


def repdistiller(state: State, rest: Any) -> Any:
    return {"opt": Namespace(model="resnet8", lr_decay_epochs=[150, 180]), "model": state, **rest}


def repdistiller_best(state: State, rest: Any) -> Any:
    return {"epoch": 7, "model": state, "best_acc": np.float64(71.3), **rest}


def mdistiller(state: State, rest: Any) -> Any:
    return {"epoch": 7, "model": state, "best_acc": np.float32(71.3), **rest}


def torchdistill(state: State, rest: Any) -> Any:
    args = Namespace(config="a.yaml", seed=None, adjust_lr=False)
    return {"model": state, "best_value": 71.3, "args": args, "lr_scheduler": {}, **rest}


def timm(state: State, rest: Any) -> Any:
    other = {name: value + 1 for name, value in state.items()}
    kept = {"state_dict": state, "state_dict_ema": other, "metric": np.float64(71.3)}
    return {"epoch": 7, "arch": "resnet8", "version": 2, "args": Namespace(aa=None), **kept, **rest}


def parallel(state: State, rest: Any) -> Any:
    return {f"module.{name}": value for name, value in state.items()}


FORMS = (repdistiller, repdistiller_best, mdistiller, torchdistill, timm, parallel)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bits(
    network: Network, tmp_path: Path, form: Any, zipped: bool
) -> None:
    optimizer = torch.optim.SGD(network.parameters(), 0.1, momentum=0.9).state_dict()
    content = form(renamed(network.state_dict(), *FIELD), {"optimizer": optimizer})
    file = tmp_path / "checkpoint"
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    other = models.build("ResNetBaby", SPEC)
    assert put_weights(other, read_weights(file), file) == ""
    assert torch.equal(logits(other), logits(network))


def test_a_key_picks_one_of_several_networks(network: Network, tmp_path: Path) -> None:
    state, file = network.state_dict(), tmp_path / "latest"
    other = {name: value + 1 for name, value in state.items()}
    both = {f"module.student.{name}": value for name, value in state.items()}
    both |= {f"module.teacher.{name}": value for name, value in other.items()}
    torch.save({"model": both, "state_dict_ema": other}, file)
    for key in ("module.student.", "module.student"):
        found = read_weights(file, key)
        assert all(torch.equal(found[name], value) for name, value in state.items())
    assert torch.equal(read_weights(file, "state_dict_ema")["head.bias"], other["head.bias"])
    with pytest.raises(RunError) as caught:
        read_weights(file, "module.pupil.")
    assert "module.pupil." in caught.value.message and "key:" in caught.value.hint
    with pytest.raises(RunError, match=r"module\.student\.conv"):
        put_weights(models.build("ResNetBaby", SPEC), read_weights(file), file)


WRN = (
    (r"^layer(\d)\.(\d+)\.shortcut", r"layer\1.\2.convShortcut"),
    (r"^layer(\d)", r"block\1.layer"),
)
BENCHMARK = {  # how the networks of the CRD benchmark call what has another name here
    "wrn_16_1": (*WRN, (r"^conv\.", "conv1."), (r"^bn\.", "bn1."), (r"^head", "fc")),
    "vgg8": ((r"^blocks\.(\d)", r"block\1"), (r"^head", "classifier")),
    "MobileNetV2": (
        (r"^stem", "conv1"),
        (r"^stages", "blocks"),
        (r"^last", "conv2"),
        (r"^head", "classifier.0"),
    ),
    "ShuffleV1": ((r"^conv\.", "conv1."), (r"^bn\.", "bn1."), (r"^head", "linear")),
    "ResNet50": (
        (r"^conv\.", "conv1."),
        (r"^bn\.", "bn1."),
        (r"\.block\.downsample", ".shortcut"),
        (r"\.block\.", "."),
        (r"^head", "linear"),
    ),
}


@pytest.mark.parametrize("name", BENCHMARK)
def test_networks_of_the_benchmark_are_matched_by_their_order(name: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    theirs, ours = models.build(name, SPEC), models.build(name, SPEC)
    file = tmp_path / "ckpt_epoch_240.pth"
    torch.save({"model": renamed(theirs.state_dict(), *BENCHMARK[name])}, file)
    note = put_weights(ours, read_weights(file), file)
    assert ("order" in note) == (name != "ShuffleV1")
    assert torch.equal(logits(ours), logits(theirs))


def test_weights_in_another_order_are_refused(network: Network, tmp_path: Path) -> None:
    state = {f"x.{name}": value for name, value in reversed(network.state_dict().items())}
    with pytest.raises(RunError, match="not this network's"):
        put_weights(models.build("ResNetBaby", SPEC), state, tmp_path)


class Calls:
    """An object whose reading would call a function."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("executed",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_calls_a_function_is_refused(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zipped: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "best.pth"
    torch.save(
        {"model": network.state_dict(), "hook": Calls()},
        file,
        _use_new_zipfile_serialization=zipped,
    )
    with pytest.raises(RunError) as caught:
        read_weights(file)
    assert not (tmp_path / "executed").exists()
    assert ("mkdir" if zipped else "tensors and plain values") in caught.value.message
    assert caught.value.message.isprintable()


def named(file: Path, name: str = "torchvision/resnet18", **options: Any) -> NamedNetwork:
    given = {"name": name, "weights": file.name, **options}
    return NamedNetwork.model_validate(given, context={"folder": file.parent})


def test_training_starts_from_the_weights_of_a_file_but_for_the_classifier(tmp_path: Path) -> None:
    from torchvision.models import resnet18

    file, grey = tmp_path / "imagenet.safetensors", SPECS["Digits"]
    state = resnet18().state_dict()
    safetensors.torch.save_file(state, file)
    small = named(file, stem="small")
    network = models.build(small.label, grey, (), (small,))
    head = network.state_dict()["fc.weight"].clone()
    notes = start_from(network, small)
    now = network.state_dict()
    assert torch.equal(now["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
    assert torch.equal(now["fc.weight"], head)
    assert [note.split()[0] for note in notes] == ["conv1.weight", "fc.bias", "fc.weight"]
    usual = named(file)
    network = models.build(usual.label, grey, (), (usual,))
    start_from(network, usual)
    summed = state["conv1.weight"].sum(1, keepdim=True)
    assert torch.equal(network.state_dict()["conv1.weight"], summed)


def test_weights_that_are_gone_changed_or_of_another_network_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    other = models.build("ResNet20", SPEC)
    torch.save(other.state_dict(), file)
    network, options = models.build("ResNetBaby", SPEC), named(file, "ResNetBaby")
    with pytest.raises(RunError, match="not of this network"):
        start_from(network, options)
    torch.save(network.state_dict(), file)
    with pytest.raises(RunError, match="has changed"):
        start_from(network, options)
    file.unlink()
    with pytest.raises(RunError, match="not there"):
        start_from(network, options)
