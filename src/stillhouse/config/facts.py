"""Facts of networks and methods that only their code tells, so that `plan` need not import torch.

Those of built-in networks and methods stand in `facts.json` (written by `make docs`, held by a
test); others are computed once per machine and version, and kept in the user's cache folder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse import data, methods, models
from stillhouse.config.schema import RunConfig
from stillhouse.data.specs import DatasetSpec
from stillhouse.methods.objective import Reference, coefficients
from stillhouse.models.named import find
from stillhouse.plugin import versioned
from stillhouse.runs.index import Cache

if TYPE_CHECKING:
    from stillhouse.models.named import Networks
    from stillhouse.plugin import Files

SHIPPED = Path(__file__).with_name("facts.json")


class Facts:
    """Facts by key; `save` keeps those that were computed."""

    def __init__(self) -> None:
        self._cache = Cache("facts", "this machine")
        self._known: dict[str, Any] = json.loads(SHIPPED.read_text())
        self._known |= self._cache.load() or {}

    def get(self, key: str, compute: Callable[[], Any]) -> Any:
        """Return a fact, computed and kept if it is not known."""
        if key not in self._known:
            self._known[key] = compute()
            self._cache.save(self._known)
        return self._known[key]


@cache
def facts() -> Facts:
    """Return the facts of this process."""
    return Facts()


def multiplications(
    name: str, spec: DatasetSpec, files: Files = (), networks: Networks = ()
) -> int:
    """Return the multiplications of a network's forward pass for one image of a dataset.

    Those of convolutions and linear layers are counted, which are nearly all there are.
    """
    options = find(name, networks)
    written = options.model_dump_json() if options else versioned("model", name, files)
    key = f"multiplications {written} {spec.classes} {spec.channels} {spec.size}"
    found = facts().get(key, lambda: count_multiplications(name, spec, files, networks))
    return int(found)


def loss_weights(run: RunConfig) -> dict[str, float]:
    """Return the coefficient of cross entropy and of each unweighted term of a run.

    The parameters that the round leaves out have the method's defaults.
    """
    given = json.dumps(run.parameters, sort_keys=True)
    key = f"reference {versioned('method', run.method, run.files)} {given}"
    ce, weights, alpha = facts().get(key, lambda: published(run))
    weighing = run.distillation
    return coefficients(Reference(ce, weights, alpha), weighing.total, weighing.alpha)


def count_multiplications(name: str, spec: DatasetSpec, files: Files, networks: Networks) -> int:
    """The same, counted with hooks on the layers; imports torch."""
    import torch
    from torch import nn

    counted: list[int] = []

    def count(layer: nn.Module, inputs: object, output: torch.Tensor) -> None:
        weight = layer.get_parameter("weight")
        counted.append(output.numel() * weight[0].numel())

    network = models.build(name, spec, files, networks)
    for layer in network.modules():
        if isinstance(layer, nn.modules.conv._ConvNd | nn.Linear):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(torch.zeros(1, spec.channels, spec.size, spec.size))
    return sum(counted)


def published(run: RunConfig) -> tuple[float, dict[str, float], float]:
    """Return the published total of a run's method; imports torch."""
    kind = methods.load(run.method, run.files)
    found = kind.reference(kind.Config(**run.parameters))
    return found.ce, found.weights, found.alpha


def training_images(run: RunConfig) -> int:
    """Return the number of images that an epoch of a run trains on."""
    recipe = run.training
    images = data.spec(run.dataset, run.files).train_images
    return recipe.train_images or images - recipe.validation
