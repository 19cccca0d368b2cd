"""Networks of torchvision and timm by name: the same logits, maps in order, one error."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import nn

from stillhouse import models
from stillhouse.data.specs import SPECS, DatasetSpec
from stillhouse.errors import ConfigError
from stillhouse.models.base import Network
from stillhouse.models.named import NamedNetwork, names, pretrained_file, split

needs_timm = pytest.mark.skipif(
    find_spec("timm") is None, reason="timm is not installed: pip install 'stillhouse[timm]'"
)
CIFAR, DIGITS = SPECS["Cifar10"], SPECS["Digits"]
TORCHVISION = {
    "resnet18": (11_181_642, [8, 4, 2, 1]),
    "mobilenet_v2": (2_236_682, [8, 4, 2, 1]),
    "shufflenet_v2_x0_5": (352_042, [8, 4, 2, 1]),
    "efficientnet_b0": (4_020_358, [8, 4, 2, 1]),
    "densenet121": (6_964_106, [8, 4, 2, 1]),
}
TIMM = {
    "resnet18": (11_173_962, [32, 16, 8, 4]),
    "mobilenetv3_small_100": (1_528_106, [32, 16, 8, 4]),
    "vit_tiny_patch16_224": (5_362_762, [8, 8, 8, 8]),
}


def build(name: str, spec: DatasetSpec = CIFAR, **options: object) -> Network:
    network = NamedNetwork.model_validate({"name": name, "label": "own", **options})
    return models.build("own", spec, (), (network,))


def sizes(network: Network, spec: DatasetSpec = CIFAR) -> list[int]:
    shapes = models.shapes(network, spec)
    return [shapes.features[group][1] for group in network.groups]


def check_same_bits(network: Network, spec: DatasetSpec = CIFAR) -> None:
    """The tapped network computes what the library's module computes, and its head the logits."""
    images = torch.randn(2, spec.channels, spec.size, spec.size)
    network.eval()
    with torch.no_grad():
        outputs = network(images)
        module = network.get_submodule("")
        assert isinstance(module, nn.Module)
        assert torch.equal(outputs.logits, module(images))
        assert torch.equal(outputs.logits, network.head(outputs.features["pooled"]))


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_network_of_torchvision_is_tapped_and_keeps_its_bits(name: str) -> None:
    network = build(f"torchvision/{name}")
    parameters = sum(one.numel() for one in network.parameters())
    assert (parameters, sizes(network)) == TORCHVISION[name]
    check_same_bits(network)


def test_its_weights_have_the_librarys_names_and_load() -> None:
    from torchvision.models import resnet18

    other = resnet18(num_classes=10).eval()
    network = build("torchvision/resnet18").eval()
    network.load_state_dict(other.state_dict())
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(images).logits, other(images))


def test_channels_last_maps_are_turned() -> None:
    shapes = models.shapes(build("torchvision/swin_t"), CIFAR)
    assert shapes.features["layer1"] == (96, 8, 8)


@pytest.mark.parametrize("name", ["resnet18", "densenet121", "shufflenet_v2_x0_5", "convnext_tiny"])
def test_a_small_stem_keeps_the_size_of_the_image(name: str) -> None:
    assert sizes(build(f"torchvision/{name}", stem="small")) == [32, 16, 8, 4]


def test_greyscale_images_and_other_classes_fit() -> None:
    network = build("torchvision/resnet18", DIGITS, stem="small")
    assert sizes(network, DIGITS) == [8, 4, 2, 1]
    assert models.shapes(network, DIGITS).classes == 10


@pytest.mark.parametrize(
    ("name", "options", "what"),
    [
        ("torchvision/alexnet", {}, "images of 32 pixels"),
        ("torchvision/squeezenet1_0", {}, "no linear layer"),
        ("torchvision/vit_b_32", {}, "no feature maps"),
        ("torchvision/mnasnet0_5", {}, "version"),
        ("torchvision/vgg11", {"stem": "small"}, "keeps the size"),
        ("torchvision/resnet18", {"arguments": {"depth": 3}}, "depth"),
        ("torchvision/resnet81", {}, "torchvision/resnet18"),
    ],
)
def test_what_does_not_fit_is_one_error(name: str, options: dict[str, object], what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(name, **options)
    assert what in str(caught.value)


def test_images_are_given_in_the_normalisation_of_the_weights() -> None:
    mean, std = [0.5, 0.4, 0.3], [0.2, 0.25, 0.5]
    network = build("ResNetBaby", normalise=[mean, std]).eval()
    plain = models.build("ResNetBaby", CIFAR).eval()
    plain.load_state_dict(network.state_dict())
    pixels = torch.rand(2, 3, 32, 32)

    def normalised(by: object, spread: object) -> torch.Tensor:
        shape = (1, 3, 1, 1)
        return (pixels - torch.tensor(by).view(shape)) / torch.tensor(spread).view(shape)

    with torch.no_grad():
        given = network(normalised(CIFAR.mean, CIFAR.std)).logits
        expected = plain(normalised(mean, std)).logits
    assert torch.allclose(given, expected, atol=1e-5)
    with pytest.raises(ConfigError, match="3 channels"):
        build("ResNetBaby", normalise=[[0.5], [0.2]])


def test_names_and_files_are_read_from_the_text_of_torchvision() -> None:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    assert set(names("torchvision")) == set(known)
    for name in ("resnet18", "resnet50", "efficientnet_b0", "wide_resnet50_2"):
        url = torchvision.models.get_model_weights(name).DEFAULT.url
        assert pretrained_file(f"torchvision/{name}").name == url.rpartition("/")[2]


@needs_timm
@pytest.mark.parametrize("name", TIMM)
def test_a_network_of_timm_gives_its_intermediate_maps(name: str) -> None:
    network = build(f"timm/{name}", stem="small")
    parameters = sum(one.numel() for one in network.parameters())
    assert (parameters, sizes(network)) == TIMM[name]
    check_same_bits(network)


@needs_timm
def test_pretrained_weights_of_timm_lie_in_the_hubs_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    repository = tmp_path / "hub" / "models--timm--resnet18.a1_in1k"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("abc")
    expected = repository / "snapshots" / "abc" / "model.safetensors"
    assert pretrained_file("timm/resnet18.a1_in1k") == expected
    assert pretrained_file("timm/resnet18") == expected


@needs_timm
@pytest.mark.parametrize("name", ["resnetv2_50", "deit_tiny_distilled_patch16_224"])
def test_a_network_of_timm_without_one_linear_classifier_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="one linear classifier"):
        build(f"timm/{name}")


@pytest.mark.skipif(find_spec("timm") is not None, reason="timm is installed")
def test_without_timm_the_error_names_the_extra() -> None:
    with pytest.raises(ConfigError) as caught:
        build("timm/resnet18")
    assert "stillhouse[timm]" in caught.value.hint


def test_an_unknown_name_is_told_how_networks_of_a_library_are_named() -> None:
    with pytest.raises(ConfigError, match="resnet57") as caught:
        build("resnet57")
    for said in ("did you mean", "torchvision/NAME", "timm/NAME", "stillhouse[timm]"):
        assert said in caught.value.hint


def test_a_slash_is_a_dot_in_folders() -> None:
    assert split("torchvision.resnet18") == split("torchvision/resnet18")
    assert split("ResNet56") is split("own/net") is None
