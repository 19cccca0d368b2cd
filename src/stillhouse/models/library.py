"""Networks of torchvision and timm as `Network`: taps, stem for small images, pooled features.

torchvision's are tapped at the last map of each resolution, timm's by `forward_intermediates`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stillhouse.data.specs import DatasetSpec
from stillhouse.errors import ConfigError, one_line, unknown_name
from stillhouse.models import named
from stillhouse.models.base import Outputs, looks_channels_last
from stillhouse.models.named import NamedNetwork
from stillhouse.models.tapped import Around, Tap, Tapped, channels_first

MAX_GROUPS = 4
PROBED = 224  # the size at which the networks' resolutions differ
STEM_KERNEL = 3
ADAPTER = (
    "wrap it yourself: `Tapped(module, taps, head)` in a file under `files:` "
    "(docs/custom-components.md)"
)
NO_AUXILIARY = {"aux_logits": False, "init_weights": True}
SPECIAL: dict[str, dict[str, Any]] = {"googlenet": NO_AUXILIARY, "inception_v3": NO_AUXILIARY}


def build(network: NamedNetwork, spec: DatasetSpec) -> Around:
    """Return a new network of a library for the images and classes of a dataset.

    Raises ConfigError if the library is missing, has no such network, or if the network does not
    fit: one error, which names the adapter.
    """
    found = named.split(network.name)
    assert found is not None
    library, name = found
    if near := named.suggested(network.name):
        raise unknown_name("model", f"{library}/{name}", near)
    making = _torchvision if library == "torchvision" else _timm
    try:
        made = making(name, network, spec)
        _require_fit(made, spec)
    except (RuntimeError, ValueError, TypeError, AssertionError, AttributeError) as error:
        raise ConfigError(
            f"{library}/{name} cannot be used for {spec.name}, images of {spec.size} pixels "
            f"({type(error).__name__}: {one_line(error)})",
            f"set `stem: small` or `arguments:`, take another network, or {ADAPTER}",
        ) from error
    return made


def _require_fit(network: Around, spec: DatasetSpec) -> None:
    """Raise unless one image passes and the head gives the logits of the network as it was."""
    training = network.training
    image = torch.zeros(1, spec.channels, spec.size, spec.size)
    with torch.no_grad():
        outputs = network.eval()(image)
        same = torch.equal(network.head(outputs.features["pooled"]), outputs.logits)
        same = same and torch.equal(network.module(image), outputs.logits)
    network.train(training)
    network.load_state_dict(network.state_dict())
    if not same:
        raise ValueError("its head does not give its logits")


def _torchvision(name: str, network: NamedNetwork, spec: DatasetSpec) -> Around:
    from torchvision.models import get_model

    arguments = {**SPECIAL.get(name, {}), **network.arguments}
    module = get_model(name, weights=None, num_classes=spec.classes, **arguments)
    head, taps = _head_and_taps(module, name)
    if network.stem == "small":
        _small_stem(module)
    first_path, first = _first_convolution(module)
    if first.in_channels != spec.channels:
        _replace(module, first_path, _like(first, in_channels=spec.channels))
    return Tapped(module, taps, head)


def _head_and_taps(module: nn.Module, name: str) -> tuple[str, dict[str, Tap]]:
    """Return the path of the head and the taps: the last maps of the smallest resolutions.

    A copy runs on the meta device, where nothing is computed. A map that is overwritten in place
    later, and one of a pooling to a fixed size, is no tap.
    """
    module = copy.deepcopy(module).to("meta").eval()
    seen: list[tuple[str, nn.Module, Tensor, int]] = []

    def noting(path: str) -> Callable[[nn.Module, Any, Any], None]:
        def note(part: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(output, Tensor):
                seen.append((path, part, output, output._version))

        return note

    for path, part in module.named_modules():
        if path:
            part.register_forward_hook(noting(path))
    with torch.no_grad():
        logits = module(torch.zeros(1, 3, PROBED, PROBED, device="meta"))
    heads = [path for path, part, out, _ in seen if isinstance(part, nn.Linear) and out is logits]
    ran = [path for path, *_ in seen]
    maps: dict[int, tuple[str, Tap]] = {}
    for path, part, value, version in seen:
        if ran.count(path) > 1 or value._version != version or value.dim() != 4:
            continue
        last = looks_channels_last(value)
        size, width = value.shape[1 if last else 2], value.shape[2 if last else 3]
        if size == width and size > 1 and not isinstance(part, nn.AdaptiveAvgPool2d):
            maps.pop(size, None)  # the order is that of the last maps
            maps[size] = (path, (path, channels_first) if last else path)
    if not heads or len(maps) < 2:
        what = "linear layer that gives the logits" if not heads else "feature maps to match"
        raise ConfigError(f"torchvision/{name} has no {what}", ADAPTER)
    chosen = [tap for _, tap in maps.values()][-MAX_GROUPS:]
    return heads[-1], {f"layer{i + 1}": tap for i, tap in enumerate(chosen)}


def _small_stem(module: nn.Module) -> None:
    """Let the first convolution keep the image's size, and leave out the pooling after it."""
    path, first = _first_convolution(module)
    if max(first.stride) == 1:
        raise ConfigError(
            "its first layer keeps the size of the image already", "leave `stem: small` out"
        )
    patches = first.stride == first.kernel_size
    kernel = 1 if patches else min(STEM_KERNEL, first.kernel_size[0])
    _replace(module, path, _like(first, kernel_size=kernel, stride=1, padding=kernel // 2))
    for name, part in module.named_modules():
        if name.rpartition(".")[2] in ("maxpool", "pool0") and isinstance(part, nn.MaxPool2d):
            _replace(module, name, nn.Identity())


def _first_convolution(module: nn.Module) -> tuple[str, nn.Conv2d]:
    for path, part in module.named_modules():
        if isinstance(part, nn.Conv2d):
            return path, part
    raise ValueError("it has no convolution")


def _like(old: nn.Conv2d, **changed: Any) -> nn.Conv2d:
    """Return a new convolution with the settings of another one, except some."""
    settings: dict[str, Any] = {
        "in_channels": old.in_channels,
        "out_channels": old.out_channels,
        "kernel_size": old.kernel_size,
        "stride": old.stride,
        "padding": old.padding,
        "bias": old.bias is not None,
    } | changed
    new = nn.Conv2d(**settings)
    nn.init.kaiming_normal_(new.weight, mode="fan_out", nonlinearity="relu")
    return new


def _replace(module: nn.Module, path: str, part: nn.Module) -> None:
    home, _, name = path.rpartition(".")
    setattr(module.get_submodule(home), name, part)


class Timm(Around):
    """A network of timm; its groups are intermediate maps of `indices`."""

    def __init__(self, module: Any, head: str, indices: Sequence[int]) -> None:
        super().__init__(module, head, tuple(f"layer{i + 1}" for i in range(len(indices))))
        self._indices = list(indices)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (batch, channels, height, width) to `Outputs`."""
        module: Any = self.module
        final, maps = module.forward_intermediates(images, indices=self._indices, output_fmt="NCHW")
        pooled = module.forward_head(final, pre_logits=True)
        features = dict(zip(self.groups, maps, strict=True))
        return Outputs(self.head(pooled), {**features, "pooled": pooled})


def _timm(name: str, network: NamedNetwork, spec: DatasetSpec) -> Around:
    try:
        import timm
    except ImportError as error:
        raise ConfigError(f"timm/{name}: timm does not import ({error})", named.TIMM) from error

    arguments: dict[str, Any] = dict(network.arguments)
    if network.stem == "small":
        arguments = _small_arguments(name, spec.size) | arguments
    module: Any = timm.create_model(
        name, pretrained=False, num_classes=spec.classes, in_chans=spec.channels, **arguments
    )
    if network.stem == "small" and not _small_arguments(name, spec.size):
        _small_timm(module, spec)
    classifier = module.get_classifier() if hasattr(module, "get_classifier") else None
    heads = [path for path, part in module.named_modules() if part is classifier]
    if not isinstance(classifier, nn.Linear) or not hasattr(module, "forward_intermediates"):
        what = "one linear classifier" if not isinstance(classifier, nn.Linear) else "maps"
        raise ConfigError(f"timm/{name} does not give {what}", ADAPTER)
    return Timm(module, heads[0], _indices(module))


def _indices(module: Any) -> list[int]:
    """Return which intermediate maps: the last of a pyramid, evenly spaced ones of equal size."""
    infos = module.feature_info
    infos = infos if isinstance(infos, list) else infos.get_dicts()
    if len({info["reduction"] for info in infos}) > 1:
        return list(range(len(infos)))[-MAX_GROUPS:]
    count = min(MAX_GROUPS, len(infos))
    return [(i + 1) * len(infos) // count - 1 for i in range(count)]


def _small_arguments(name: str, size: int) -> dict[str, Any]:
    """Return the arguments that fit a transformer or ConvNeXt to small images."""
    if name.startswith("convnext"):
        return {"patch_size": 1}
    if name.startswith(("vit_", "deit_")):
        return {"img_size": size, "patch_size": max(1, size // 8)}
    if name.startswith("swin_"):
        return {"img_size": size, "patch_size": 2, "window_size": 4}
    return {}


def _small_timm(module: Any, spec: DatasetSpec) -> None:
    """Let a convolutional stem of timm keep the image's size."""
    if not hasattr(module, "conv_stem"):
        _small_stem(module)
        return
    module.conv_stem.stride = (1, 1)
    strided = [
        part
        for path, part in module.blocks.named_modules()
        if path.endswith("conv_dw") and max(part.stride) > 1
    ]
    strided[0].stride = (1, 1)
