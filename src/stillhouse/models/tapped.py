"""Any image classifier as a `Network`: name the modules whose outputs are its feature maps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from stillhouse.errors import ConfigError, unknown_name
from stillhouse.models.base import Network, Outputs

POOLED = "pooled"


class Tapped(Network):
    """A torchvision or other `nn.Module` that maps images to logits (batch, classes).

    `taps` gives each feature map a name and the dotted path of the module that puts it out, from
    input to output, as in `{"layer1": "features.3"}`; they are the `groups` too. `head` is the
    path of the classifier; what it reads is `pooled`. Parameters and buffers have the names they
    have in the module, so its published weights load. The module is not copied.

    Raises ConfigError for a path that the module does not have, with the nearest one; and in the
    forward pass for a tap that gives no (batch, channels, height, width) map, does not run
    exactly once, runs out of order, or whose map is overwritten in place.
    """

    def __init__(self, module: nn.Module, taps: Mapping[str, str], head: str) -> None:
        super().__init__()
        if not taps or POOLED in taps:
            raise ConfigError(f"the taps are {dict(taps)}", f"name at least one, none '{POOLED}'")
        self._require(module, taps, head)
        # One set of tables for both, so that names, moves and copies of one are the other's.
        self._parameters, self._modules = module._parameters, module._modules
        self._buffers = module._buffers
        self._non_persistent_buffers_set = module._non_persistent_buffers_set
        self._wrapped = (module,)  # in a tuple: as an attribute it would be registered as a part
        self.groups, self._taps, self._head = tuple(taps), dict(taps), head
        self.train(module.training)

    @property
    def head(self) -> nn.Module:  # type: ignore[override]
        """The classifier, which maps `pooled` to logits."""
        return self.get_submodule(self._head)

    def forward(self, images: Tensor) -> Outputs:
        """Map images (batch, channels, height, width) to `Outputs`."""
        seen = _Seen()
        with ExitStack() as hooks:
            for name, path in self._taps.items():
                note = seen.noting_output(name, path)
                hooks.enter_context(self.get_submodule(path).register_forward_hook(note))
            note_input = seen.noting_input(self._head)
            hooks.enter_context(self.head.register_forward_pre_hook(note_input))
            logits = self._wrapped[0](images)
        if not isinstance(logits, Tensor) or logits.dim() != 2:
            raise ConfigError(
                f"{type(self._wrapped[0]).__name__} gives {_describe(logits)}, not logits "
                "(batch, classes)",
                "wrap it in a module that returns the logits alone",
            )
        seen.check((*self.groups, POOLED))
        return Outputs(logits, seen.features)

    def train(self, mode: bool = True) -> Tapped:
        """Set the mode of the module and all its parts."""
        self.training = mode
        self._wrapped[0].train(mode)
        return self

    def apply(self, fn: Callable[[nn.Module], None]) -> Tapped:
        """Apply `fn` to all parts of the module, then to the module."""
        self._wrapped[0].apply(fn)
        return self

    @staticmethod
    def _require(module: nn.Module, taps: Mapping[str, str], head: str) -> None:
        paths = [path for path, _ in module.named_modules() if path]
        for name, path in taps.items():
            if path not in paths:
                raise unknown_name(f"module of tap {name}:", path, paths)
        if head not in paths:
            raise unknown_name("module of the head:", head, paths)


class _Seen:
    """What the hooks of one forward pass saw, in the order in which it ran."""

    def __init__(self) -> None:
        self.features: dict[str, Tensor] = {}
        self.versions: dict[str, int] = {}

    def noting_output(self, name: str, path: str) -> Callable[[nn.Module, Any, Any], None]:
        """A hook that keeps a module's output as the feature `name`."""

        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor) or output.dim() != 4:
                raise ConfigError(
                    f"tap {name}: {path} gives {_describe(output)}, not a feature map "
                    "(batch, channels, height, width)",
                    "tap a module that does, such as a block of convolutions",
                )
            self._keep(name, f"tap {name}: {path}", output)

        return note

    def noting_input(self, path: str) -> Callable[[nn.Module, Any], None]:
        """A hook that keeps what the head reads as `pooled`."""

        def note(module: nn.Module, inputs: Any) -> None:
            given = inputs[0] if inputs else None
            if not isinstance(given, Tensor) or given.dim() != 2:
                raise ConfigError(
                    f"the head {path} reads {_describe(given)}, not embeddings (batch, channels)",
                    "name the last linear layer",
                )
            self._keep(POOLED, f"the head {path}", given)

        return note

    def check(self, expected: tuple[str, ...]) -> None:
        """Raise ConfigError unless all have run, in the order named, and are as they were."""
        if missing := [name for name in expected if name not in self.features]:
            raise ConfigError(f"what was to give {missing[0]} did not run", "name another module")
        if (order := (*self.features,)) != expected:
            raise ConfigError(
                f"the taps run in the order {', '.join(order)}",
                "name them in that order, the head's input last",
            )
        for name, value in self.features.items():
            if value._version != self.versions[name]:
                raise ConfigError(
                    f"{name} is overwritten in place after it was put out",
                    "name the module that does so, such as the ReLU behind it",
                )

    def _keep(self, name: str, who: str, value: Tensor) -> None:
        if name in self.features:
            raise ConfigError(f"{who} runs more than once", "name a module that runs once")
        self.features[name], self.versions[name] = value, value._version


def _describe(value: object) -> str:
    return f"a tensor {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
