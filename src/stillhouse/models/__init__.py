"""The networks that a round can name. Importing this package does not import torch."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from stillhouse import plugin
from stillhouse.errors import ConfigError, unknown_name
from stillhouse.models import named
from stillhouse.models.named import NamedNetwork, Networks
from stillhouse.plugin import Files, Plugin

if TYPE_CHECKING:
    from stillhouse.data.specs import DatasetSpec
    from stillhouse.models.base import Network, Outputs, Shapes

Arguments = tuple[int, ...]
NETWORKS: dict[str, tuple[str, Arguments]] = {  # the module of the family, what its build is given
    "ResNet112": ("resnet", (18, 1)),
    "ResNet56": ("resnet", (9, 1)),
    "resnet44": ("resnet", (7, 1)),
    "resnet32": ("resnet", (5, 1)),
    "ResNet20": ("resnet", (3, 1)),
    "resnet14": ("resnet", (2, 1)),
    "ResNetBaby": ("resnet", (1, 1)),
    "resnet32x4": ("resnet", (5, 4)),
    "resnet8x4": ("resnet", (1, 4)),
    "ResNet50": ("resnet50", ()),
    "wrn_40_2": ("wrn", (40, 2)),
    "wrn_40_1": ("wrn", (40, 1)),
    "wrn_16_2": ("wrn", (16, 2)),
    "wrn_16_1": ("wrn", (16, 1)),
    "vgg19": ("vgg", (2, 2, 4, 4, 4)),
    "vgg16": ("vgg", (2, 2, 3, 3, 3)),
    "vgg13": ("vgg", (2, 2, 2, 2, 2)),
    "vgg11": ("vgg", (1, 1, 2, 2, 2)),
    "vgg8": ("vgg", (1, 1, 1, 1, 1)),
    "MobileNetV2": ("mobilenet_v2", ()),
    "ShuffleV2": ("shuffle_v2", ()),
    "ShuffleV1": ("shuffle_v1", ()),
}
ALIASES = {  # names in the CRD benchmark of what has another name here
    "resnet110": "ResNet112",
    "resnet56": "ResNet56",
    "resnet20": "ResNet20",
    "resnet8": "ResNetBaby",
}
BY_LIBRARY = f"torchvision/NAME, or timm/NAME after: {named.TIMM}"


def names(files: Files = ()) -> list[str]:
    """Return the names of all networks, by family from large to small; custom ones last.

    A name of both a built-in network and a custom component means the latter.
    """
    custom = plugin.names("model", files)
    return [*(name for name in NETWORKS if name not in custom), *custom]


def build(name: str, spec: DatasetSpec, files: Files = (), networks: Networks = ()) -> Network:
    """Return a newly initialised network for the images and classes of a dataset.

    The global torch generator determines its weights; the `weights` of a network with options are
    not loaded. Raises ConfigError for an unknown name, or if a custom component builds something
    else.
    """
    options = named.find(name, networks) or NamedNetwork(name=name, label=name)
    network = _build(options, spec, files)
    if options.normalise:
        from stillhouse.models.base import renormalise

        renormalise(network, spec, *options.normalise)
    return network


def _build(options: NamedNetwork, spec: DatasetSpec, files: Files) -> Network:
    name = options.name
    if file := plugin.find("model", name, files):
        return _own(file, spec)
    if named.split(name):
        from stillhouse.models import library

        return library.build(options, spec)
    name = ALIASES.get(name, name)
    if name not in NETWORKS:
        raise unknown_name("model", name, names(files), BY_LIBRARY)
    family, arguments = NETWORKS[name]
    module = import_module(f"stillhouse.models.{family}")
    network: Network = module.build(*arguments, spec.classes, spec.channels)
    return network


def _own(file: Plugin, spec: DatasetSpec) -> Network:
    from stillhouse.models.base import Network, require_separate

    with plugin.blame(file):
        network: object = plugin.load_module(file).build(spec.classes, spec.channels)
    if not isinstance(network, Network):
        raise ConfigError(
            f"{file.path}: build returned a {type(network).__name__}, not a network",
            "derive it from stillhouse.models.base.Network",
        )
    require_separate(network, str(file.path))
    return network


def shapes(network: Network, spec: DatasetSpec) -> Shapes:
    """Return the shapes of a network's outputs for one image of a dataset.

    Runs in eval mode on a random image, so batch-norm statistics do not change. Raises ConfigError
    if the network does not return `Outputs` with `pooled` and its `groups`.
    """
    import torch

    from stillhouse.models.base import Outputs, Shapes

    training = network.training
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        drawn = torch.Generator().manual_seed(0)
        image = torch.randn(1, spec.channels, spec.size, spec.size, generator=drawn)
        outputs = network(image.to(device))
    network.train(training)
    expected = {"pooled", *network.groups}
    if not isinstance(outputs, Outputs) or not expected <= set(outputs.features):
        raise ConfigError(
            f"the network {type(network).__name__} does not return the outputs that methods need",
            f"return Outputs(logits, features) with the features {', '.join(sorted(expected))}",
        )
    features = {name: tuple(value.shape[1:]) for name, value in outputs.features.items()}
    return Shapes(outputs.logits.shape[1], features, network.groups, _pooled_map(outputs))


def _pooled_map(outputs: Outputs) -> str | None:
    """The last map whose mean over positions is `pooled`, as far as the values show it."""
    import torch

    pooled = outputs.features["pooled"]
    if pooled.is_meta:
        return None
    near = float(pooled.abs().max()) * 1e-4
    means = {name: m.mean(dim=(2, 3)) for name, m in outputs.features.items() if m.dim() == 4}
    fitting = [
        name
        for name, mean in means.items()
        if mean.shape == pooled.shape and torch.allclose(mean, pooled, rtol=0, atol=near)
    ]
    return fitting[-1] if fitting and near else None
