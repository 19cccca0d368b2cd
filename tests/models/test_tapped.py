"""Foreign networks: their features named, everything else as it was."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision.models import (
    convnext_tiny,
    densenet121,
    mobilenet_v2,
    regnet_y_400mf,
    resnet18,
    squeezenet1_1,
    swin_t,
    vit_b_32,
)

from stillhouse import models
from stillhouse.data.specs import SPECS
from stillhouse.errors import ConfigError
from stillhouse.models.tapped import Tap, Tapped, channels_first

TAPS = {"early": "features.3", "late": "features.18"}
IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def mobilenet() -> nn.Module:
    torch.manual_seed(0)
    return mobilenet_v2(num_classes=10)


def tapped(head: str = "classifier.1") -> Tapped:
    return Tapped(mobilenet(), TAPS, head)


class Small(nn.Module):
    """A parameter of its own, a layer used twice, an in-place ReLU, a part seldom run."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1, 4, 1, 1), 2.0))
        self.register_buffer("offset", torch.ones(1))
        self.conv = nn.Conv2d(3, 4, 3)
        self.relu = nn.ReLU(inplace=True)
        self.again = nn.Conv2d(4, 4, 1)
        self.seldom = nn.Conv2d(4, 4, 1)
        self.flat = nn.Flatten()
        self.fc = nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        x = self.relu(self.conv(images)) * self.scale + self.offset
        x = self.again(self.again(x))
        if self.training:
            x = self.seldom(x)
        logits: Tensor = self.fc(self.flat(x.mean(dim=(2, 3), keepdim=True)))
        return logits


def test_outputs_are_those_of_the_module_and_of_its_parts() -> None:
    module, network = mobilenet().eval(), tapped().eval()
    outputs = network(IMAGES)
    assert torch.equal(outputs.logits, module(IMAGES))
    assert list(outputs.features) == ["early", "late", "pooled"]
    assert torch.equal(outputs.features["early"], module.features[:4](IMAGES))  # type: ignore
    assert torch.equal(outputs.features["late"], module.features(IMAGES))  # type: ignore
    assert torch.equal(network.head(outputs.features["pooled"]), outputs.logits)
    assert models.shapes(network, SPECS["Cifar10"]).features["early"] == (24, 8, 8)


def test_dropout_before_the_head_is_in_pooled() -> None:
    outputs = tapped().train()(IMAGES)
    assert (outputs.features["pooled"] == 0).any()


def test_names_are_the_modules_so_published_weights_load() -> None:
    module, network = mobilenet(), tapped()
    assert [*network.state_dict()] == [*module.state_dict()]
    assert [n for n, _ in network.named_parameters()] == [n for n, _ in module.named_parameters()]
    assert [n for n, _ in network.named_buffers()] == [n for n, _ in module.named_buffers()]
    with torch.no_grad():
        module.classifier[1].bias.add_(1.0)  # type: ignore
    network.load_state_dict(safetensors.torch.load(safetensors.torch.save(module.state_dict())))
    assert torch.equal(network.eval()(IMAGES).logits, module.eval()(IMAGES))


def test_parameters_and_buffers_of_the_module_itself_move_with_it() -> None:
    network = Tapped(Small(), {"a": "relu"}, "fc").to(torch.float64)
    assert {*network.state_dict()} >= {"scale", "offset", "fc.weight"}
    assert {value.dtype for value in network.state_dict().values()} == {torch.float64}
    outputs = network.train()(IMAGES.double())
    torch.autograd.backward(outputs.logits.sum())
    assert network.get_parameter("scale").grad is not None


def test_a_copy_has_weights_modes_and_features_of_its_own() -> None:
    network = tapped().eval()
    before = network(IMAGES)
    copied = copy.deepcopy(network)
    copied.train()
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    copied(IMAGES)
    after = network(IMAGES)
    assert not any(part.training for part in network.modules())
    assert torch.equal(after.logits, before.logits)
    assert torch.equal(after.features["late"], before.features["late"])
    assert not copied.eval()(IMAGES).logits.any()


def test_modes_reach_the_module_itself() -> None:
    network = Tapped(Small(), {"a": "seldom"}, "fc")
    assert network.train()(IMAGES).features["a"].shape == (2, 4, 30, 30)
    with pytest.raises(ConfigError, match="of a did not run"):
        network.eval()(IMAGES)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_under_autocast_features_are_what_the_module_computes(dtype: torch.dtype) -> None:
    network = tapped().train()
    with torch.autocast("cpu", dtype=dtype):
        outputs = network(IMAGES)
    assert outputs.logits.dtype == outputs.features["late"].dtype == dtype
    assert outputs.float().features["late"].dtype == torch.float32


def test_an_error_inside_leaves_no_hooks_behind() -> None:
    network = tapped()
    with pytest.raises(RuntimeError, match="channels"):
        network(IMAGES[:, :1])
    hooks = [h for m in network.modules() for h in (m._forward_hooks, m._forward_pre_hooks)]
    assert not any(hooks)
    assert [*network(IMAGES).features] == ["early", "late", "pooled"]


@pytest.mark.parametrize(
    ("taps", "head", "message"),
    [
        ({"a": "features.33"}, "classifier.1", r"tap a: 'features.33'\n.*mean 'features.3'\?"),
        (TAPS, "clasifier.1", r"head: 'clasifier.1'\n.*mean 'classifier.1'\?"),
        ({}, "classifier.1", "name at least one"),
        ({"pooled": "features.3"}, "classifier.1", "none 'pooled'"),
    ],
)
def test_unknown_paths_get_the_nearest_one(taps: dict[str, str], head: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tapped(mobilenet(), taps, head)


@pytest.mark.parametrize(
    ("taps", "head", "message"),
    [
        ({"a": "flat"}, "fc", r"tap a: flat gives a tensor \(2, 4\), not a feature map"),
        ({"a": "conv"}, "fc", "a is overwritten in place"),
        ({"a": "again"}, "fc", "tap a: again runs more than once"),
        ({"b": "seldom", "a": "relu"}, "fc", "run in the order a, b, pooled"),
        ({"a": "relu"}, "flat", r"head flat reads a tensor \(2, 4, 1, 1\), not embeddings"),
    ],
)
def test_taps_that_give_no_usable_map(taps: dict[str, str], head: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tapped(Small(), taps, head).train()(IMAGES)


def test_a_convolution_as_head_and_several_outputs_are_refused() -> None:
    with pytest.raises(ConfigError, match="name the last linear layer"):
        Tapped(squeezenet1_1(), {"a": "features.0"}, "classifier.1").eval()(IMAGES)

    class Two(Small):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
            logits = super().forward(images)
            return logits, logits

    with pytest.raises(ConfigError, match="Two gives a tuple, not logits"):
        Tapped(Two(), {"a": "relu"}, "fc")(IMAGES)


def test_residual_and_dense_networks_of_torchvision() -> None:
    residual = Tapped(resnet18(num_classes=3), {"a": "layer1", "b": "layer4"}, "fc")
    assert models.shapes(residual, SPECS["TinyImageNet"]).features["b"] == (512, 2, 2)
    blocks = {"a": "features.denseblock1", "b": "features.denseblock4"}
    dense = Tapped(densenet121(num_classes=3), blocks, "classifier")
    assert models.shapes(dense, SPECS["TinyImageNet"]).features["a"] == (256, 16, 16)


class Head(nn.Module):
    """A classifier in parts, as ConvNeXt and RegNet have it below the name `head`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(6)
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.fc(self.norm(x))
        return logits


class Shifted(nn.Module):
    """Maps (batch, height, width, channels) as in Swin, tuples, and names that clash."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.module = nn.Conv2d(3, 6, 4, 4)
        self.groups = nn.Linear(6, 6)
        self.pair = Pair()
        self.head = head

    def forward(self, images: Tensor) -> Tensor:
        x = self.groups(self.module(images).permute(0, 2, 3, 1))
        _, x = self.pair(x)
        logits: Tensor = self.head(x.mean(dim=(1, 2)))
        return logits


class Pair(nn.Module):
    """Two maps, the first with its channels first."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.permute(0, 3, 1, 2), x


SHIFTED: dict[str, Tap] = {
    "patches": "module",
    "late": ("groups", channels_first),
    "pair": ("pair", operator.itemgetter(0)),
}


@pytest.mark.parametrize(("head", "path"), [(nn.Linear(6, 5), "head"), (Head(), "head.fc")])
def test_a_module_may_use_the_names_that_a_network_uses(head: nn.Module, path: str) -> None:
    module = Shifted(head)
    network = Tapped(module, SHIFTED, path).eval()
    outputs = network(IMAGES)
    assert [tuple(map_.shape) for map_ in outputs.features.values()] == [(2, 6, 8, 8)] * 3 + [
        (2, 6)
    ]
    assert torch.equal(network.head(outputs.features["pooled"]), outputs.logits)
    assert torch.equal(outputs.features["pair"], outputs.features["late"])
    assert [*network.state_dict()] == [*module.state_dict()]
    assert [n for n, _ in network.named_parameters()] == [n for n, _ in module.named_parameters()]
    assert network.get_parameter(f"{path}.bias") is module.get_parameter(f"{path}.bias")


def test_it_loads_as_part_of_another_module() -> None:
    """As a method keeps a copy of the teacher: names get the part's prefix and nothing else."""
    holder, other = (
        nn.ModuleDict({"net": Tapped(Shifted(nn.Linear(6, 5)), SHIFTED, "head")}) for _ in range(2)
    )
    state = holder.state_dict()
    assert {*state} >= {"net.head.bias", "net.module.weight", "net.groups.weight"}
    other.load_state_dict(state)
    assert torch.equal(other["net"](IMAGES).logits, holder["net"](IMAGES).logits)


@pytest.mark.parametrize(
    ("tap", "message"),
    [
        (
            "groups",
            r"groups gives a tensor \(2, 8, 8, 6\), which looks like \(batch, height, width",
        ),
        (("module", channels_first), "channels_first was given a tensor .2, 6, 8, 8., not"),
        ("pair", r"pair gives a tuple, not a feature map.*\n.*\('pair', function\)"),
        (("pair", lambda output: None), "pair with its function gives nothing, not a feature map"),
    ],
)
def test_what_is_no_map_is_refused_with_the_way_to_go_on(tap: Tap, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Tapped(Shifted(nn.Linear(6, 5)), {"a": tap}, "head")(IMAGES)


def tokens(output: Tensor) -> Tensor:
    """The 4 patches of a 64-pixel image, without the class token."""
    return output[:, 1:].transpose(1, 2).unflatten(2, (2, 2))


@pytest.mark.parametrize(
    ("make", "options", "taps", "head", "shapes"),
    [
        (
            swin_t,
            {},
            {"a": ("features.1", channels_first), "b": ("features.7", channels_first)},
            "head",
            [(96, 16, 16), (768, 2, 2), (768,)],
        ),
        (convnext_tiny, {}, {"a": "features.1"}, "classifier.2", [(96, 16, 16), (768,)]),
        (
            vit_b_32,
            {"image_size": 64},
            {"a": ("encoder.layers.encoder_layer_5", tokens)},
            "heads.head",
            [(768, 2, 2), (768,)],
        ),
        (
            regnet_y_400mf,
            {},
            {"a": "trunk_output.block1", "b": "trunk_output.block4"},
            "fc",
            [(48, 16, 16), (440, 2, 2), (440,)],
        ),
    ],
    ids=["swin_t", "convnext_tiny", "vit_b_32", "regnet_y_400mf"],
)
def test_torchvisions_transformers_and_others(
    make: Callable[..., nn.Module],
    options: dict[str, Any],
    taps: dict[str, Tap],
    head: str,
    shapes: list[tuple[int, ...]],
) -> None:
    network = Tapped(make(num_classes=3, **options), taps, head).eval()
    with torch.no_grad():
        outputs = network(torch.randn(1, 3, 64, 64))
        assert torch.equal(network.head(outputs.features["pooled"]), outputs.logits)
    assert [tuple(value.shape[1:]) for value in outputs.features.values()] == shapes
