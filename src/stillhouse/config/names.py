"""The names a round file may use, found without importing torch.

A method's parameters, label and summary are read from the source text of its file, because
importing the file would import torch. `files` are the user's own.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from stillhouse import data, methods, models, own
from stillhouse.config.schema import Distillation, Round, Training
from stillhouse.own import Files

FLAT = (*Training.model_fields, *Distillation.model_fields)


def datasets(files: Files = ()) -> list[str]:
    """The datasets a round may name."""
    return data.names(files)


def networks(files: Files = ()) -> list[str]:
    """The models a round may name."""
    return models.names(files)


def distillers(files: Files = ()) -> list[str]:
    """The methods a round may name, `pure` included."""
    return methods.names(files)


@cache
def parameters(method: str, files: Files = ()) -> tuple[str, ...]:
    """The names of a method's own parameters: the fields of its nested `Config`."""
    return tuple(
        field.target.id
        for inner in _class_body(method, files)
        if isinstance(inner, ast.ClassDef) and inner.name == "Config"
        for field in inner.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    )


def label(method: str, files: Files = ()) -> str:
    """The row name of a method in tables: its class's `label`."""
    return _literal(method, files, "label") or method


def taught_by(method: str, files: Files = ()) -> str:
    """Who teaches a method's students: `teacher`, `student` or `nobody` (see `Method`)."""
    return _literal(method, files, "taught_by") or "teacher"


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
def _literal(method: str, files: Files, name: str) -> str | None:
    """A text that a method's class sets as `name = "..."`."""
    for node in _class_body(method, files):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == name
            and isinstance(node.value, ast.Constant)
        ):
            return str(node.value.value)
    return None


def _class_body(method: str, files: Files) -> list[ast.stmt]:
    for node in _tree(method, files).body:
        if isinstance(node, ast.ClassDef) and node.name == methods.class_name(method):
            return node.body
    return []


def _tree(method: str, files: Files) -> ast.Module:
    if file := own.find("method", method, files):
        return ast.parse(own.source(file))
    path = Path(methods.__file__).parent / f"{method}.py"
    return ast.parse(path.read_text(encoding="utf-8"))
