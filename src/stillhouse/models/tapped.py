"""Any image classifier as a `Network`: name the modules that output its feature maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn

from stillhouse.errors import ConfigError, unknown_name
from stillhouse.models.base import Network, Outputs, looks_channels_last

POOLED, MODULE = "pooled", "module."
Tap = str | tuple[str, Callable[[Any], Tensor]]


def channels_first(output: Tensor) -> Tensor:
    """Return a map (batch, height, width, channels) as (batch, channels, height, width).

    Raises ConfigError if height and width differ.
    """
    if output.dim() != 4 or output.shape[1] != output.shape[2]:
        raise ConfigError(
            f"channels_first was given {_describe(output)}, not a map (batch, height, width, "
            "channels)",
            "leave it out for maps that are (batch, channels, height, width)",
        )
    return output.permute(0, 3, 1, 2)


class Around(Network):
    """A network around another library's module, whose names it keeps: published weights load.

    `head` is the module below `head_path`.
    """

    def __init__(self, module: nn.Module, head_path: str, groups: tuple[str, ...]) -> None:
        super().__init__()
        self.module, self.groups, self._head = module, groups, head_path
        self.register_load_state_dict_pre_hook(_rename)  # type: ignore[no-untyped-call]
        self.train(module.training)

    @property
    def head(self) -> nn.Module:  # type: ignore[override]
        """Return the classifier, which maps `pooled` to logits."""
        return self.get_submodule(self._head)

    def get_submodule(self, target: str) -> nn.Module:
        """Return a part of the module by its path."""
        return self.module.get_submodule(target)

    def named_modules(
        self, memo: set[nn.Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Module]]:
        """Yield this network, then the module and its parts by their paths."""
        memo = set() if memo is None else memo
        if self not in memo:
            if remove_duplicate:
                memo.add(self)
            yield prefix, self
            yield from self.module.named_modules(memo, prefix, remove_duplicate)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Return the module's state dict without a prefix; loading expects the same."""
        state: dict[str, Any] = self.module.state_dict(*args, **kwargs)
        return state


class Tapped(Around):
    """A torchvision or other `nn.Module` that maps images to logits (batch, classes).

    `taps` maps the name of each feature map to the dotted path of the module that outputs it, from
    input to output, as in `{"layer1": "features.3"}`; the names are also the `groups`. If the
    output is not a map (batch, channels, height, width), the tap is the path and a function that
    converts it: `("features.1", channels_first)`, `("blocks.2", operator.itemgetter(0))`. `head` is
    the path of the classifier; its input is `pooled`. Modules, parameters and buffers keep their
    names, so published weights load. The module is not copied.

    Raises ConfigError for a path that the module does not have, with the nearest one. The forward
    pass raises it for a tap whose output is not a map, is channels-last (if a square map shows
    that), does not run exactly once, runs out of order, or is overwritten in place.
    """

    def __init__(
        self,
        module: nn.Module,
        taps: Mapping[str, Tap],
        head: str,
        groups: tuple[str, ...] | None = None,
    ) -> None:
        if not taps or POOLED in taps:
            raise ConfigError(f"the taps are {dict(taps)}", f"name at least one, none '{POOLED}'")
        parts = {name: (tap, None) if isinstance(tap, str) else tap for name, tap in taps.items()}
        paths = [path for path, _ in module.named_modules() if path]
        wanted = {f"module of tap {name}:": path for name, (path, _) in parts.items()}
        for what, path in {**wanted, "module of the head:": head}.items():
            if path not in paths:
                raise unknown_name(what, path, paths)
        super().__init__(module, head, groups or tuple(taps))
        self._taps = parts

    def forward(self, images: Tensor) -> Outputs:
        """Map images (batch, channels, height, width) to `Outputs`."""
        seen = _Seen()
        with ExitStack() as hooks:
            for name, (path, read) in self._taps.items():
                note = seen.noting_output(name, path, read)
                hooks.enter_context(self.get_submodule(path).register_forward_hook(note))
            note_input = seen.noting_input(self._head)
            hooks.enter_context(self.head.register_forward_pre_hook(note_input))
            logits = self.module(images)
        if not isinstance(logits, Tensor) or logits.dim() != 2:
            raise ConfigError(
                f"{type(self.module).__name__} gives {_describe(logits)}, not logits "
                "(batch, classes)",
                "wrap it in a module that returns the logits alone",
            )
        seen.check((*self._taps, POOLED))
        return Outputs(logits, seen.features)


def _rename(network: nn.Module, state: dict[str, Any], prefix: str, *rest: object) -> None:
    """Rename the entries of a state dict to their names below the attribute `module`."""
    moved = {
        f"{prefix}{MODULE}{name.removeprefix(prefix)}": state.pop(name)
        for name in list(state)
        if name.startswith(prefix)
    }
    state.update(moved)


class _Seen:
    """The outputs that the hooks of one forward pass recorded, in order."""

    def __init__(self) -> None:
        self.features: dict[str, Tensor] = {}
        self.versions: dict[str, int] = {}

    def noting_output(
        self, name: str, path: str, read: Callable[[Any], Tensor] | None
    ) -> Callable[[nn.Module, Any, Any], None]:
        """Return a hook that records a module's output, converted by a function, as `name`."""

        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            value = output if read is None else read(output)
            who = f"tap {name}: {path}" + (" with its function" if read else "")
            if not isinstance(value, Tensor) or value.dim() != 4:
                raise ConfigError(
                    f"{who} gives {_describe(value)}, not a feature map "
                    "(batch, channels, height, width)",
                    f"tap a module that does, or give the tap as ('{path}', function) with a "
                    "function that makes a map of it: operator.itemgetter(0) takes the first "
                    "element of a tuple",
                )
            if looks_channels_last(value):
                raise ConfigError(
                    f"{who} gives {_describe(value)}, which looks like (batch, height, width, "
                    "channels)",
                    f"give the tap as ('{path}', channels_first), with channels_first from "
                    "stillhouse.models.tapped",
                )
            self._keep(name, who, value)

        return note

    def noting_input(self, path: str) -> Callable[[nn.Module, Any], None]:
        """Return a hook that records the input of the head as `pooled`."""

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
        """Raise ConfigError unless all taps have run, in order, and their maps are unchanged."""
        if missing := [name for name in expected if name not in self.features]:
            raise ConfigError(f"the module of {missing[0]} did not run", "name another module")
        if (order := (*self.features,)) != expected:
            raise ConfigError(
                f"the taps run in the order {', '.join(order)}",
                "name them in that order, the head's input last",
            )
        for name, value in self.features.items():
            if value._version != self.versions[name]:
                raise ConfigError(
                    f"{name} is overwritten in place after the module returned it",
                    "name the module that overwrites it, such as the ReLU after it",
                )

    def _keep(self, name: str, who: str, value: Tensor) -> None:
        if name in self.features:
            raise ConfigError(f"{who} runs more than once", "name a module that runs once")
        self.features[name], self.versions[name] = value, value._version


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)}"
    return "nothing" if value is None else f"a {type(value).__name__}"
