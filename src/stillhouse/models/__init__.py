"""The networks that a round can name. Importing this package does not import torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse import plugin
from stillhouse.errors import ConfigError, unknown_name
from stillhouse.plugin import Files, Plugin

if TYPE_CHECKING:
    from stillhouse.data.specs import DatasetSpec
    from stillhouse.models.base import Network, Shapes

BLOCKS_A_GROUP = {"ResNet112": 18, "ResNet56": 9, "ResNet20": 3, "ResNetBaby": 1}


def names(files: Files = ()) -> list[str]:
    """Return the names of all networks, from large to small; custom ones from `files` last."""
    return [*BLOCKS_A_GROUP, *plugin.names("model", files)]


def build(name: str, spec: DatasetSpec, files: Files = ()) -> Network:
    """Return a newly initialised network for the images and classes of a dataset.

    The global torch generator determines its weights. Raises ConfigError for an unknown name, or if
    a custom component builds something else.
    """
    from stillhouse.models.resnet import ResNet

    if file := plugin.find("model", name, files):
        return _own(file, spec)
    if name not in BLOCKS_A_GROUP:
        raise unknown_name("model", name, names(files))
    return ResNet(BLOCKS_A_GROUP[name], spec.classes, spec.channels)


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

    Runs in eval mode on zeros, so batch-norm statistics do not change. Raises ConfigError if the
    network does not return `Outputs` with `pooled` and its `groups`.
    """
    import torch

    from stillhouse.models.base import Outputs, Shapes

    training = network.training
    network.eval()
    device = next(network.parameters()).device
    with torch.no_grad():
        outputs = network(torch.zeros(1, spec.channels, spec.size, spec.size, device=device))
    network.train(training)
    expected = {"pooled", *network.groups}
    if not isinstance(outputs, Outputs) or not expected <= set(outputs.features):
        raise ConfigError(
            f"the network {type(network).__name__} does not return the outputs that methods need",
            f"return Outputs(logits, features) with the features {', '.join(sorted(expected))}",
        )
    features = {name: tuple(value.shape[1:]) for name, value in outputs.features.items()}
    return Shapes(outputs.logits.shape[1], features, network.groups)
