"""The distillation methods: a method's name is the name of its file in this folder.

Importing this package does not import torch; `load` does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse import plugin
from stillhouse.errors import ConfigError, unknown_name
from stillhouse.plugin import Files, Plugin, class_name

if TYPE_CHECKING:
    from stillhouse.data.specs import DatasetSpec
    from stillhouse.methods.base import Method, TrainingImages
    from stillhouse.models.base import Network

__all__ = ["Declaration", "class_name", "declared", "load", "make", "names"]

SHARED = {"__init__", "base", "connectors", "objective"}
FAMILIES = ("baseline", "logits", "maps", "embeddings", "control", "custom")
YEAR = re.compile(r"\b(?:19|20)\d\d\b")


def names(files: Files = ()) -> list[str]:
    """Return the names of all methods, by family, each by the year of its paper; custom last.

    A name of both a built-in method and a custom component means the latter.
    """
    here = {path.stem for path in Path(__file__).parent.glob("*.py")} - SHARED
    known = {*here, *plugin.names("method", files)}
    return sorted(known, key=lambda name: (*declared(name, files).place, name))


@dataclass(frozen=True)
class Declaration:
    """What the class of a method declares in its text.

    `label` is its row name in tables (its own, or else its name), `taught_by` who teaches its
    students, `summary` what it is and which paper it follows. `parameters` are the names of its
    `Config`'s fields, `defaults` those defaults that are plain values. `pretrains`: it trains a
    part once per teacher. `mixed_images`: it takes images mixed of two. `unread` is the first base
    class whose text cannot be followed.
    """

    label: str
    family: str
    taught_by: str
    summary: str
    parameters: tuple[str, ...]
    defaults: dict[str, Any]
    pretrains: bool
    mixed_images: bool
    unread: str | None

    @property
    def place(self) -> tuple[int, str]:
        """Where it stands in lists: the number of its family, and the year of its paper."""
        family = FAMILIES.index(self.family if self.family in FAMILIES else FAMILIES[-1])
        year = YEAR.search(self.summary)
        return family, year[0] if year else ""


@cache
def declared(name: str, files: Files = ()) -> Declaration:
    """Read what a method declares without importing torch. Raises OSError for an unknown name."""
    kind, about = plugin.declared_class(name, plugin.find("method", name, files))
    config = kind.inner("Config")
    fields = config.fields() if config else {}
    return Declaration(
        label=kind.text("label", inherit=False) or name,
        family=kind.text("family") or FAMILIES[-1],
        taught_by=kind.text("taught_by") or "teacher",
        summary=about.splitlines()[0].rstrip("."),
        parameters=tuple(fields),
        defaults={field: value for field, value in fields.items() if value is not plugin.NOT_PLAIN},
        pretrains=kind.defines("pretraining"),
        mixed_images=kind.text("mixed_images") == "True",
        unread=(config.unread() if config else None) or kind.unread(),
    )


def load(name: str, files: Files = ()) -> type[Method]:
    """Return the class of a method: `attention_transfer` is `AttentionTransfer` in its file.

    Raises ConfigError for an unknown name, or if a custom component's file holds no method.
    """
    if file := plugin.find("method", name, files):
        return _own(file)
    if name not in names():
        raise unknown_name("method", name, names(files))
    module = import_module(f"stillhouse.methods.{name}")
    method: type[Method] = getattr(module, class_name(name))
    return method


def make(
    kind: type[Method],
    parameters: Mapping[str, Any],
    student: Network,
    teacher: Network | None,
    spec: DatasetSpec,
    images: TrainingImages,
) -> Method:
    """Return a method between two networks for a dataset, with everything that it needs.

    `teacher` is frozen, and None if the run has no teacher. Random numbers come from torch's global
    generator.
    """
    from stillhouse.models import shapes
    from stillhouse.models.base import require_separate

    if teacher is not None and "preactivations" in kind.needs:
        teacher.preactivations = True
    taught = shapes(teacher, spec) if teacher else None
    method = kind(kind.Config(**parameters), shapes(student, spec), taught)
    if "training_images" in method.needs:
        method.bind_training_images(images)
    if "teacher_network" in method.needs:
        assert teacher is not None
        method.bind_teacher(teacher)
    require_separate(method, f"method {kind.__name__}")
    return method


def _own(file: Plugin) -> type[Method]:
    from stillhouse.methods.base import Method

    kind: object = getattr(plugin.load_module(file), class_name(file.name))
    if not isinstance(kind, type) or not issubclass(kind, Method):
        raise ConfigError(
            f"{file.path}: {class_name(file.name)} is not a method",
            "derive it from stillhouse.methods.base.Method",
        )
    return kind
