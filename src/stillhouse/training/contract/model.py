"""Check what the loop, the methods and the tables need from a network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import safetensors.torch
import torch
import torch.nn.functional as F
from torch import Tensor

from stillhouse import models
from stillhouse.config.schema import Precision
from stillhouse.data.specs import SPECS, DatasetSpec
from stillhouse.models.base import Network, Outputs, looks_channels_last
from stillhouse.plugin import Files
from stillhouse.training.contract.loss import PRECISIONS
from stillhouse.training.contract.setup import CPU, weights
from stillhouse.training.contract.verdict import CheckFailed, require
from stillhouse.training.health_checks import STUCK_STEPS
from stillhouse.training.precision import autocast, make_scaler

BATCH = 4
TOLERANCE = 1e-4  # relative to the largest value: another batch size changes the order of sums


@dataclass(frozen=True)
class ModelCase:
    """A network and the dataset of its images."""

    name: str
    files: Files = ()
    spec: DatasetSpec = SPECS["Cifar10"]

    def build(self, seed: int = 0) -> Network:
        """Return a newly initialised network."""
        torch.manual_seed(seed)
        return models.build(self.name, self.spec, self.files)

    def images(self) -> Tensor:
        """Return normally distributed images, like those of a normalised dataset."""
        channels, size = self.spec.channels, self.spec.size
        generator = torch.Generator().manual_seed(0)
        return torch.randn(BATCH, channels, size, size, generator=generator)

    @torch.no_grad()
    def forward(self, network: Network) -> Outputs:
        """Return its outputs for the images in eval mode."""
        outputs: Outputs = network.eval()(self.images())
        return outputs


def outputs_have_the_documented_shapes(case: ModelCase) -> None:
    """Outputs have logits, at least one group of four dimensions, and `pooled` of two."""
    network = case.build()
    outputs = case.forward(network)
    require(isinstance(outputs, Outputs), f"forward returns {type(outputs).__name__}, not Outputs")
    shape = tuple(outputs.logits.shape)
    require(
        shape == (BATCH, case.spec.classes), f"logits are {shape}, not {(BATCH, case.spec.classes)}"
    )
    groups, features = getattr(network, "groups", ()), outputs.features
    require(bool(groups), "groups is empty", "name the feature maps that methods match")
    missing = [name for name in (*groups, "pooled") if name not in features]
    require(not missing, f"features lack {missing}", f"they are {sorted(features)}")
    expected = {**dict.fromkeys(features, ()), **dict.fromkeys(groups, (4,)), "pooled": (2,)}
    for name, dimensions in expected.items():
        found = tuple(features[name].shape)
        right = found[0] == BATCH and len(found) in (dimensions or (2, 4))
        require(
            right,
            f"feature {name} is {found}",
            "maps are (batch, channels, height, width), pooled is (batch, channels)",
        )
        require(
            not looks_channels_last(features[name]),
            f"feature {name} is {found}, which looks like (batch, height, width, channels)",
            "methods read (batch, channels, height, width): permute(0, 3, 1, 2)",
        )
    order = [name for name in features if name in groups]
    require(order == [*groups], f"features come in the order {order}, groups in {[*groups]}")


def the_head_maps_pooled_to_the_logits(case: ModelCase) -> None:
    """The head maps pooled to the logits; methods may read or copy it."""
    network = case.build()
    outputs = case.forward(network)
    head = getattr(network, "head", None)
    require(isinstance(head, torch.nn.Module), "it has no head", "the classifier, as self.head")
    with torch.no_grad():
        found = network.head(outputs.features["pooled"])
    _require_close(found, outputs.logits, "head(pooled) is not the logits")


def the_seed_decides_its_weights(case: ModelCase) -> None:
    """Weights come from torch's global generator, so all arms of a seed start equal."""
    first, again, other = (weights(case.build(seed)) for seed in (0, 0, 1))
    for name, value in first.items():
        require(torch.equal(value, again[name]), f"{name} differs between two builds of a seed")
    require(
        any(not torch.equal(value, other[name]) for name, value in first.items()),
        "another seed gives the same weights",
    )


def an_image_is_judged_by_itself(case: ModelCase) -> None:
    """In eval mode an image's logits do not depend on its batch."""
    network = case.build().eval()
    together = case.forward(network).logits
    with torch.no_grad():
        alone = torch.cat([network(image[None]).logits for image in case.images()])
    _require_close(alone, together, "in eval mode the logits of an image depend on its batch")


def a_forward_pass_changes_nothing(case: ModelCase) -> None:
    """Eval mode changes no parameter or buffer and gives the same outputs twice."""
    network = case.build()
    before = weights(network)
    first, second = case.forward(network).logits, case.forward(network).logits
    require(torch.equal(first, second), "in eval mode two forward passes of the same images differ")
    for name, value in network.state_dict().items():
        require(torch.equal(value, before[name]), f"{name} changes in eval mode")


def its_state_survives_a_file(case: ModelCase) -> None:
    """Saved and loaded into a network of another seed, it gives the same outputs."""
    network, other = case.build(), case.build(seed=1)
    _step(network, case, "fp32")
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    other.load_state_dict(safetensors.torch.load(safetensors.torch.save(state)))
    expected, found = case.forward(network).logits, case.forward(other).logits
    scale = float(expected.abs().max())
    require(  # not bit for bit: weights that lie otherwise in memory may get another kernel
        torch.allclose(found, expected, rtol=0, atol=1e-4 * scale),
        "its outputs change after its weights were saved and loaded",
        "keep its state in parameters or buffers (register_buffer)",
    )


def a_copy_is_a_network_of_its_own(case: ModelCase) -> None:
    """`copy.deepcopy` gives the same outputs and shares nothing."""
    network = case.build()
    before = case.forward(network).logits
    copied = copy.deepcopy(network)
    require(torch.equal(case.forward(copied).logits, before), "a copy gives other outputs")
    _step(copied, case, "fp32")
    require(
        torch.equal(case.forward(network).logits, before), "training a copy changes the network"
    )
    require(
        not torch.equal(case.forward(copied).logits, before),
        "training a copy does not change the copy",
    )


def a_step_trains(case: ModelCase, precision: Precision) -> None:
    """A step on cross entropy changes every parameter, and every value stays finite."""
    network = case.build()
    before = weights(network)
    _step(network, case, precision)
    for name, value in network.state_dict().items():
        require(bool(value.isfinite().all()), f"{name} is not finite after a step")
    for name, p in network.named_parameters():
        require(
            p.grad is not None and not torch.equal(p, before[name]),
            f"{name} is not trained by cross entropy",
            "remove parameters that the logits do not depend on",
        )


def _step(network: Network, case: ModelCase, precision: Precision) -> None:
    """Take an optimizer step, after those that the gradient scaler skips."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    scaler = make_scaler(precision, CPU)
    labels = torch.arange(BATCH) % case.spec.classes
    for _ in range(STUCK_STEPS):
        with autocast(precision, CPU):
            outputs: Outputs = network.train()(case.images())
        loss = F.cross_entropy(outputs.logits.float(), labels)
        require(bool(loss.isfinite()), f"cross entropy is {loss.item()} in {precision}")
        optimizer.zero_grad()
        torch.autograd.backward(scaler.scale(loss))
        before = scaler.get_scale()
        scaler.step(optimizer)
        scaler.update()
        if scaler.get_scale() >= before:
            return
    raise CheckFailed(f"the gradient scaler skipped {STUCK_STEPS} steps in a row")


def _require_close(found: Tensor, expected: Tensor, broken: str) -> None:
    bound = TOLERANCE * float(expected.abs().max().clamp_min(1))
    apart = float((found - expected).abs().max())
    require(apart <= bound, f"{broken}: they are up to {apart:g} apart")


CHECKS: dict[str, Callable[[ModelCase], None]] = {
    "outputs have the documented shapes": outputs_have_the_documented_shapes,
    "the head maps pooled to the logits": the_head_maps_pooled_to_the_logits,
    "the seed decides its weights": the_seed_decides_its_weights,
    "an image's outputs do not depend on its batch": an_image_is_judged_by_itself,
    "a forward pass in eval mode changes nothing": a_forward_pass_changes_nothing,
    "its state survives a file": its_state_survives_a_file,
    "a copy shares nothing with the network": a_copy_is_a_network_of_its_own,
    **{f"a step trains in {p}": partial(a_step_trains, precision=p) for p in PRECISIONS},
}
