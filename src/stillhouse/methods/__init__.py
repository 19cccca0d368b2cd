"""The distillation methods: a method's name is the name of its file in this folder.

Importing this package does not import torch; `load` does.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import unknown_name

if TYPE_CHECKING:
    from stillhouse.methods.base import Method

SHARED = {"__init__", "base", "connectors", "objective"}


def names() -> list[str]:
    """The names a round file may use."""
    return sorted(
        path.stem for path in Path(__file__).parent.glob("*.py") if path.stem not in SHARED
    )


def load(name: str) -> type[Method]:
    """The class of a method: `attention_transfer` is `AttentionTransfer` in its file.

    Raises ConfigError for an unknown name.
    """
    if name not in names():
        raise unknown_name("method", name, names())
    module = import_module(f"stillhouse.methods.{name}")
    method: type[Method] = getattr(module, class_name(name))
    return method


def class_name(name: str) -> str:
    """`attention_transfer` -> `AttentionTransfer`."""
    return "".join(part.capitalize() for part in name.split("_"))
