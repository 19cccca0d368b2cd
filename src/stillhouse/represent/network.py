"""A trained network as it was saved, ready to be evaluated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stillhouse import methods, models
from stillhouse.config import renamed
from stillhouse.config.schema import RunConfig
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import RunError
from stillhouse.methods.base import Method
from stillhouse.models.base import Network
from stillhouse.plugin import kept
from stillhouse.represent.store import BESIDE
from stillhouse.represent.targets import Target
from stillhouse.seeding import reseed
from stillhouse.training.precision import to_device
from stillhouse.training.recorder import load_into
from stillhouse.training.reopen import Place, reopen
from stillhouse.training.weight_files import put_weights, read_weights


@dataclass(frozen=True)
class Opened:
    """A frozen network in eval mode on its device, its layers, and its size.

    `multiply_adds` are those of convolutions and matrix products for one image.
    """

    network: nn.Module
    layers: tuple[str, ...]
    parameters: int
    multiply_adds: int


def open_network(target: Target, spec: DatasetSpec, place: Place) -> Opened:
    """Build a run's inference network and give it its weights.

    Custom components are those that the run was trained with. Raises StillhouseError if the
    weights are not the recorded ones or do not fit, and whatever a custom component raises.
    """
    config = target.config.model_copy(update={"files": kept(target.config.files, target.kept)})
    reseed("init", config.seed, renamed.first("model", config.model))
    network, groups = _build(config, spec, place, target.kept)
    if taken := [name for name in groups if name in BESIDE]:
        raise RunError(
            f"the model {config.model} calls a group {taken[0]}, which is the name of what stands "
            "beside the layers",
            "give the group another name",
        )
    if target.weights == "file":
        put_weights(network, read_weights(target.file), target.file)
    elif target.weights != "untrained":
        load_into(network, target.file, target.sha256)
    network.requires_grad_(False).eval()
    to_device(network, place.device)
    parameters = sum(one.numel() for one in network.parameters())
    return Opened(network, groups, parameters, multiply_adds(network, spec, place.device))


def multiply_adds(network: nn.Module, spec: DatasetSpec, device: torch.device) -> int:
    """Multiply-adds of convolutions and matrix products for one image, as torch counts them.

    Half of what `FlopCounterMode` counts, which takes a multiply-add for two operations.
    """
    image = torch.zeros(1, spec.channels, spec.size, spec.size, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return int(counter.get_total_flops()) // 2


def _build(
    config: RunConfig, spec: DatasetSpec, place: Place, experiments: Path
) -> tuple[nn.Module, tuple[str, ...]]:
    """The network without its weights, and its groups.

    Where a method's inference model is not the student, the method is made as for training, for it
    may be part of that model.
    """
    kind = methods.load(config.method, config.files)
    if kind.inference_model is Method.inference_model:
        network = models.build(config.model, spec, config.files, config.networks)
        return network, network.groups
    trainer = reopen([config], replace(place, experiments=experiments)).trainer(config)
    model = trainer.method.inference_model(trainer.network)
    return model, model.groups if isinstance(model, Network) else trainer.network.groups
