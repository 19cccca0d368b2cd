"""The names a round file may use, found without importing torch.

A method's parameters, label and summary are read from the source text of its file, because
importing the file would import torch. `files` are the user's own.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Any

from stillhouse import data, methods, models, own
from stillhouse.config.declared import Declared, declared, module
from stillhouse.config.schema import Distillation, Round, Training
from stillhouse.own import Files

FAMILIES = ("baseline", "logits", "maps", "embeddings", "control", "custom")
FLAT = (*Training.model_fields, *Distillation.model_fields)


def datasets(files: Files = ()) -> list[str]:
    """The datasets a round may name."""
    return data.names(files)


def networks(files: Files = ()) -> list[str]:
    """The models a round may name."""
    return models.names(files)


def distillers(files: Files = ()) -> list[str]:
    """The methods a round may name, `pure` first: by family, each by the year of its paper."""
    return sorted(methods.names(files), key=lambda method: _place(method, files))


def _place(method: str, files: Files) -> tuple[int, str, str]:
    kind = _class(method, files)
    family = kind.text("family", inherit=True) if kind else None
    place = FAMILIES.index(family) if family in FAMILIES else len(FAMILIES)
    year = re.search(r"\b(?:19|20)\d\d\b", summary(method, files))
    return place, year[0] if year else "", method


@cache
def parameters(method: str, files: Files = ()) -> tuple[str, ...]:
    """The names of a method's own parameters: the fields of its `Config`, inherited ones too."""
    kind = _class(method, files)
    config = kind.inner("Config") if kind else None
    return config.fields() if config else ()


def unread_base(method: str, files: Files = ()) -> str | None:
    """A class that the method or its `Config` derives from and whose text cannot be followed."""
    kind = _class(method, files)
    config = kind.inner("Config") if kind else None
    unread = config.unread() if config else None
    return unread or (kind.unread() if kind else None)


@cache
def defaults(method: str, files: Files = ()) -> dict[str, Any]:
    """The defaults of a method's own parameters, as far as they are plain values."""
    kind = _class(method, files)
    config = kind.inner("Config") if kind else None
    return config.defaults() if config else {}


def label(method: str, files: Files = ()) -> str:
    """The row name of a method in tables: its class's own `label`, or else its name."""
    kind = _class(method, files)
    return (kind.text("label", inherit=False) if kind else None) or method


@cache
def taught_by(method: str, files: Files = ()) -> str:
    """Who teaches a method's students: `teacher`, `student` or `nobody` (see `Method`)."""
    kind = _class(method, files)
    return (kind.text("taught_by", inherit=True) if kind else None) or "teacher"


def pretrains(method: str, files: Files = ()) -> bool:
    """Whether a method trains a part once per teacher, before distillation."""
    kind = _class(method, files)
    return bool(kind and kind.defines("pretraining"))


@cache
def summary(method: str, files: Files = ()) -> str:
    """The first line of a method's documentation: what it is and which paper it follows."""
    return (ast.get_docstring(_tree(method, files)) or method).splitlines()[0].rstrip(".")


def universe(round_: Round) -> dict[str, list[str]]:
    """What a round trains: the datasets, models and methods an override can reach."""
    own_teacher = [] if round_.teachers_from else [round_.teacher]
    teacher_method = [] if round_.teachers_from else ["pure"]
    return {
        "datasets": list(round_.datasets),
        "models": list(dict.fromkeys([*own_teacher, *round_.students])),
        "methods": list(dict.fromkeys([*teacher_method, *round_.methods])),
    }


@cache
def _class(method: str, files: Files) -> Declared | None:
    return declared(_tree(method, files), methods.class_name(method))


def _tree(method: str, files: Files) -> ast.Module:
    file = own.find("method", method, files)
    return ast.parse(own.source(file)) if file else module(method)
