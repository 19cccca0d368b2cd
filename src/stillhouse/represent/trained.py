"""A trained network for images as they are in its dataset: uint8 in, classes out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stillhouse import data
from stillhouse.data.loader import normalise
from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import RunError
from stillhouse.models.base import Outputs
from stillhouse.represent.network import open_network
from stillhouse.represent.targets import Skipped, own_target
from stillhouse.rounds.survey import Cell
from stillhouse.rounds.workspace import Workspace

AT_ONCE = 512  # images


class TrainedNetwork(nn.Module):
    """A network of a round in eval mode, with the normalisation of its dataset inside."""

    def __init__(self, network: nn.Module, spec: DatasetSpec, device: torch.device) -> None:
        super().__init__()
        self.network, self.spec, self.device = network, spec, device
        self.eval()

    def forward(self, images: Tensor) -> Outputs:
        """Return logits (batch, classes) and the features of every group of layers.

        `images` are uint8 (batch, channels, size, size). Raises RunError for anything else.
        """
        spec = self.spec
        expected = (spec.channels, spec.size, spec.size)
        if images.dtype != torch.uint8 or (*images.shape[1:],) != expected or images.ndim != 4:
            raise RunError(
                f"the images are {images.dtype} {tuple(images.shape)}",
                f"expected torch.uint8 (batch, {spec.channels}, {spec.size}, {spec.size}), "
                f"the form of {spec.label}; leave out any normalisation of your own",
            )
        outputs: Outputs = self.network(normalise(images.to(self.device), spec))
        return outputs

    def predict(self, images: Tensor | np.ndarray) -> Tensor:
        """Return the predicted class of each uint8 image: int64 (batch,), on the CPU.

        `images` as in `forward`, a tensor or an array, in any number.
        """
        found = torch.as_tensor(images)
        with torch.no_grad():
            parts = [self(part).logits.argmax(dim=1).cpu() for part in torch.split(found, AT_ONCE)]
        return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int64)


def open_trained(
    workspace: Workspace,
    cell: Cell,
    teachers_from: str | None,
    weights: str,
    device: str,
    data_root: Path | None,
) -> TrainedNetwork:
    """Open a completed run's network with its `final` or `best` weights.

    Raises RunError if the run is not completed or was imported without its weights, or if they are
    not the recorded ones.
    """
    target = own_target(workspace, cell, weights)
    if isinstance(target, Skipped):
        raise RunError(f"{target.name} has no network to open: {target.reason}", "train it first")
    place = workspace.place(teachers_from, data_root, device)
    spec = data.spec(target.config.dataset, target.config.files)
    with _generators_kept():
        network = open_network(target, spec, place).network
    return TrainedNetwork(network, spec, place.device)


@contextmanager
def _generators_kept() -> Iterator[None]:
    """Let the caller's global generators go on as if nothing had been drawn or seeded."""
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
