"""The distillation methods: a method's name is the name of its file in this folder.

Importing this package does not import torch; `load` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse import own
from stillhouse.errors import ConfigError, unknown_name
from stillhouse.own import Files, class_name

if TYPE_CHECKING:
    from stillhouse.data.specs import DatasetSpec
    from stillhouse.methods.base import Method, TrainingImages
    from stillhouse.models.base import Network

__all__ = ["class_name", "load", "make", "names"]

SHARED = {"__init__", "base", "connectors", "objective"}


def names(files: Files = ()) -> list[str]:
    """Return the names of all methods; custom ones from `files` come last."""
    here = (path.stem for path in Path(__file__).parent.glob("*.py"))
    return sorted(name for name in here if name not in SHARED) + own.names("method", files)


def load(name: str, files: Files = ()) -> type[Method]:
    """Return the class of a method: `attention_transfer` is `AttentionTransfer` in its file.

    Raises ConfigError for an unknown name, or if a custom component's file holds no method.
    """
    if file := own.find("method", name, files):
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

    taught = shapes(teacher, spec) if teacher else None
    method = kind(kind.Config(**parameters), shapes(student, spec), taught)
    if "training_images" in method.needs:
        method.bind_training_images(images)
    if "teacher_network" in method.needs:
        assert teacher is not None
        method.bind_teacher(teacher)
    require_separate(method, f"method {kind.__name__}")
    return method


def _own(file: own.OwnFile) -> type[Method]:
    from stillhouse.methods.base import Method

    kind: object = getattr(own.load_module(file), class_name(file.name))
    if not isinstance(kind, type) or not issubclass(kind, Method):
        raise ConfigError(
            f"{file.path}: {class_name(file.name)} is not a method",
            "derive it from stillhouse.methods.base.Method",
        )
    return kind
