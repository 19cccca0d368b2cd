"""What a method's class declares, read from the text of its file without running it.

A class inherits from classes above it in its file and from built-in methods that the file imports
(`from stillhouse.methods.logit import Logit`); other bases cannot be followed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stillhouse import methods
from stillhouse.own import assigned

PACKAGE, BASE = ["stillhouse", "methods"], "base"


@dataclass(frozen=True)
class Declared:
    """A class and the text it is in; `builtin` is the name of a built-in method's module."""

    tree: ast.Module
    node: ast.ClassDef
    builtin: str = ""

    def bases(self) -> Iterator[tuple[str, Declared | None]]:
        """What it derives from, as written, with the class that is meant if it can be followed."""
        if self.builtin != BASE:  # the end of every method's line
            for base in self.node.bases:
                yield ast.unparse(base), _find(self, ast.unparse(base).split("."))

    def fields(self) -> tuple[str, ...]:
        """The annotated names that it and its bases assign, as pydantic orders them."""
        inherited = [base.fields() for _, base in self.bases() if base]
        own = (
            node.target.id
            for node in self.node.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
            if not node.target.id.startswith("_") and "ClassVar" not in ast.unparse(node.annotation)
        )
        return tuple(dict.fromkeys([*(f for fields in reversed(inherited) for f in fields), *own]))

    def defaults(self) -> dict[str, Any]:
        """The values of those fields that are plain values in the text, inherited ones too."""
        found: dict[str, Any] = {}
        for _, base in reversed(list(self.bases())):
            found |= base.defaults() if base else {}
        for node in self.node.body:
            if isinstance(node, ast.AnnAssign) and node.value is not None:
                with suppress(ValueError):  # computed when the class is made
                    found[ast.unparse(node.target)] = ast.literal_eval(node.value)
        return found

    def defines(self, name: str) -> bool:
        """Whether it, or a base other than `Method`, has a function of that name."""
        if self.builtin == BASE:
            return False
        own = (isinstance(node, ast.FunctionDef) and node.name == name for node in self.node.body)
        return any(own) or any(base.defines(name) for _, base in self.bases() if base)

    def text(self, name: str, inherit: bool) -> str | None:
        """The text that it, or else one of its bases, sets as `name = "..."`."""
        for node in self.node.body:
            if (
                isinstance(node, ast.Assign | ast.AnnAssign)
                and name in assigned(node)
                and isinstance(node.value, ast.Constant)
            ):
                return str(node.value.value)
        found = (base.text(name, inherit) for _, base in self.bases() if base and inherit)
        return next((text for text in found if text is not None), None)

    def inner(self, name: str) -> Declared | None:
        """A class in its body, or else in that of one of its bases."""
        for node in self.node.body:
            if isinstance(node, ast.ClassDef) and node.name == name:
                return Declared(self.tree, node, self.builtin)
            if isinstance(node, ast.Assign) and name in assigned(node):
                return _find(self, ast.unparse(node.value).split("."))
        found = (base.inner(name) for _, base in self.bases() if base)
        return next((inner for inner in found if inner), None)

    def unread(self) -> str | None:
        """The first base that cannot be followed, of it and of those it derives from."""
        for written, base in self.bases():
            if (name := base.unread() if base else written) is not None:
                return name
        return None


def declared(tree: ast.Module, name: str, builtin: str = "") -> Declared | None:
    """The class of that name at the top level of a text."""
    return next(
        (
            Declared(tree, node, builtin)
            for node in reversed(tree.body)
            if isinstance(node, ast.ClassDef) and node.name == name
        ),
        None,
    )


@cache
def module(name: str) -> ast.Module:
    """The text of a built-in method's module. Raises OSError if there is none."""
    path = Path(methods.__file__).parent / f"{name}.py"
    return ast.parse(path.read_text(encoding="utf-8"))


def _find(user: Declared, path: list[str]) -> Declared | None:
    """The class that a dotted name means where `user` is written."""
    above: list[ast.stmt] = [
        node
        for node in user.tree.body
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) < user.node.lineno
    ]
    found = declared(ast.Module(above, []), path[0])
    if found is not None:
        return _inside(Declared(user.tree, found.node, user.builtin), path[1:])
    full = [*_imports(user.tree).get(path[0], []), *path[1:]]
    if full[:2] != PACKAGE or len(full) < 4 or full[2] not in {BASE, *methods.names()}:
        return None
    return _inside(declared(module(full[2]), full[3], full[2]), full[4:])


def _inside(outer: Declared | None, path: list[str]) -> Declared | None:
    for name in path:
        outer = outer.inner(name) if outer else None
    return outer


def _imports(tree: ast.Module) -> dict[str, list[str]]:
    """The names that a text imports at its top level, with the full path of each."""
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[:1]
                found[alias.asname or first[0]] = alias.name.split(".") if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = [*node.module.split("."), alias.name]
    return found
