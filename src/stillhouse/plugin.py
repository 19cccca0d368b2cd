"""A custom component: one Python file with a method, a model or a dataset.

The file name without .py is the component's name everywhere. A file is identified by the hash of
its bytes. Its kind and its declarations are read from its text without running it, because running
it would import torch: a method `own_kd.py` defines a class `OwnKd`, a model `build`, a dataset
`SPEC` and `load`. Built-in methods are read in the same way.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from stillhouse.errors import ConfigError, RunError, StillhouseError
from stillhouse.fields import first_fault

Kind = Literal["method", "model", "dataset"]
T = TypeVar("T")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
MAX_BYTES = 1_000_000
SHOWN_DIGITS = 8
MODULE_DIGITS = 16
METHODS, BASE = Path(__file__).parent / "methods", "base"
NOT_PLAIN: Any = ...  # a default that is computed when the class is made


@dataclass(frozen=True)
class Plugin:
    """A file as it was read: its absolute path, its SHA-256, what it defines."""

    path: Path
    sha256: str
    kind: Kind

    @property
    def name(self) -> str:
        """Return the name in round files and tables: the file name without .py."""
        return self.path.stem

    def __str__(self) -> str:
        return f"{self.path.name} ({self.sha256[:SHOWN_DIGITS]})"


Files = tuple[Plugin, ...]


def read_plugin(path: Path) -> Plugin:
    """Read a file without running it.

    Raises ConfigError if it cannot be read, is not Python, has no usable name, or does not define
    exactly one of a method, a model and a dataset.
    """
    if path.suffix != ".py" or not NAME.fullmatch(path.stem):
        raise ConfigError(
            f"{path.name} is not the name of a Python file that a round can use",
            "expected at most 100 letters, digits and '_', beginning with a letter, and .py",
        )
    content = _read(path)
    try:
        defined = _defined(ast.parse(content))
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        message = getattr(error, "msg", None) or str(error) or "nested too deeply"
        raise ConfigError(f"{path}:{line}: not Python: {message}") from None
    wanted: dict[Kind, set[str]] = {
        "method": {class_name(path.stem)},
        "model": {"build"},
        "dataset": {"SPEC", "load"},
    }
    kinds = [kind for kind, names in wanted.items() if names <= defined]
    if len(kinds) != 1:
        raise ConfigError(
            f"{path} defines {' and '.join(f'a {kind}' for kind in kinds) or 'none of the three'}",
            f"expected one of: a method (class {class_name(path.stem)}), a model (build), "
            "a dataset (SPEC and load)",
        )
    return Plugin(Path(os.path.abspath(path)), sha256(content).hexdigest(), kinds[0])


def find(kind: Kind, name: str, files: Iterable[Plugin]) -> Plugin | None:
    """Return the file of that kind and name, if it is among `files`."""
    return next((file for file in files if (file.kind, file.name) == (kind, name)), None)


def names(kind: Kind, files: Iterable[Plugin]) -> list[str]:
    """Return the names of the files of a kind."""
    return [file.name for file in files if file.kind == kind]


def versioned(kind: Kind, name: str, files: Iterable[Plugin]) -> str:
    """Return the name for caches; a file's name is followed by the hash of its content."""
    file = find(kind, name, files)
    return f"{name}-{file.sha256[:MODULE_DIGITS]}" if file else name


def kept(files: Files, experiments: Path) -> Files:
    """Return the files with the paths of their copies: `own_files/f30c170c61fd7375/kd.py`.

    The originals may change or be deleted, and a hash cannot restore a file.
    """
    home = experiments / "own_files"
    return tuple(replace(f, path=home / f.sha256[:MODULE_DIGITS] / f.path.name) for f in files)


def class_name(name: str) -> str:
    """`attention_transfer` -> `AttentionTransfer`."""
    return "".join(part.capitalize() for part in name.split("_"))


def source(file: Plugin) -> bytes:
    """Return the file's bytes. Raises RunError if their hash has changed."""
    content = _read(file.path)
    if (now := sha256(content).hexdigest()) != file.sha256:
        raise RunError(
            f"{file.path} has changed: SHA-256 {now[:SHOWN_DIGITS]}..., "
            f"expected {file.sha256[:SHOWN_DIGITS]}...",
            "restore it, or repeat the command to use the changed file",
        )
    return content


def load_module(file: Plugin) -> ModuleType:
    """Run a file, once for each content, and return its module.

    The module is registered under a name that holds the hash, as pydantic and dataclasses need; no
    `import` statement finds it by accident. Raises ConfigError if the file cannot be run.
    """
    name = f"stillhouse_own_{file.name}_{file.sha256[:MODULE_DIGITS]}"
    if name in sys.modules:
        return sys.modules[name]
    code = compile(source(file), str(file.path), "exec")
    module = ModuleType(name)
    module.__file__ = str(file.path)
    sys.modules[name] = module
    try:
        with blame(
            file,
            "a custom component must not import files beside it; install the packages it imports",
        ):
            exec(code, module.__dict__)
    except ConfigError:
        del sys.modules[name]
        raise
    return module


@contextmanager
def blame(file: Plugin, hint: str = "") -> Iterator[None]:
    """Convert an error of the user's code to a ConfigError with the line of the file."""
    try:
        yield
    except StillhouseError:
        raise
    except (Exception, SystemExit) as error:
        where = f"{file.path}:{line_of(file, error) or 1}"
        raise ConfigError(f"{where}: {type(error).__name__}: {error}", hint) from error


def line_of(file: Plugin, error: BaseException) -> int | None:
    """Return the line of the file from which an error came, if it came from there."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file.path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def declared_value(file: Plugin, name: str, kind: type[T], fault: Callable[[T], str]) -> T:
    """Return the dataclass that the text `name = Kind(...)` makes of literal values.

    Raises ConfigError with the line unless it is one, or if `fault` finds an error in it.
    """
    node = next(node for node in ast.parse(source(file)).body if name in _assigned(node))
    try:
        call = getattr(node, "value", None)
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).endswith(kind.__name__):
            raise ValueError(f"expected {kind.__name__}(...)")
        values = [ast.literal_eval(value) for value in call.args]
        made: Any = kind(*values, **{str(k.arg): ast.literal_eval(k.value) for k in call.keywords})
        value: T = TypeAdapter(kind).validate_python(asdict(made))
        if what := fault(value):
            raise ValueError(what)
    except (TypeError, ValueError) as error:
        what = first_fault(error) if isinstance(error, ValidationError) else str(error)
        raise ConfigError(
            f"{file.path}:{node.lineno}: {name}: {what}",
            f"write {name} = {kind.__name__}(name=..., ...) with literal values: it is read from "
            "the text",
        ) from error
    return value


@dataclass(frozen=True)
class Declared:
    """A class as its text declares it; `builtin` is the name of a built-in method's module.

    It inherits from classes above it in its file and from built-in methods that the file imports
    (`from stillhouse.methods.logit import Logit`); other bases cannot be read.
    """

    tree: ast.Module
    node: ast.ClassDef
    builtin: str = ""

    def line(self) -> Iterator[Declared | str]:
        """Return it and all its bases, nearest first; bases that cannot be read as written."""
        yield self
        for base in self.node.bases if self.builtin != BASE else ():
            found = _find(self, ast.unparse(base).split("."))
            yield from found.line() if found else [ast.unparse(base)]

    def classes(self) -> list[Declared]:
        """Return the classes of its line that can be read."""
        return [one for one in self.line() if isinstance(one, Declared)]

    def unread(self) -> str | None:
        """Return the first class of its line that cannot be read."""
        return next((one for one in self.line() if isinstance(one, str)), None)

    def fields(self) -> dict[str, Any]:
        """Return its annotated names in pydantic's order, with defaults that are literals."""
        found: dict[str, Any] = {}
        for node in (node for one in reversed(self.classes()) for node in one.node.body):
            if isinstance(node, ast.AnnAssign) and "ClassVar" not in ast.unparse(node.annotation):
                name, found_value = ast.unparse(node.target), NOT_PLAIN
                if node.value is not None:
                    with suppress(ValueError):
                        found_value = ast.literal_eval(node.value)
                if not name.startswith("_"):
                    found[name] = found_value
        return found

    def defines(self, function: str) -> bool:
        """Return whether a class of its line other than `Method` has a function of that name."""
        nodes = (node for one in self.classes() if one.builtin != BASE for node in one.node.body)
        return any(isinstance(node, ast.FunctionDef) and node.name == function for node in nodes)

    def text(self, name: str, inherit: bool = True) -> str | None:
        """Return the text that it or one of its bases sets as `name = "..."`."""
        for node in (n for one in (self.classes() if inherit else [self]) for n in one.node.body):
            if name in _assigned(node) and isinstance(
                value := getattr(node, "value", None), ast.Constant
            ):
                return str(value.value)
        return None

    def inner(self, name: str) -> Declared | None:
        """Return the class of that name nested in it or in its nearest base."""
        for one in self.classes():
            for node in one.node.body:
                if isinstance(node, ast.ClassDef) and node.name == name:
                    return Declared(one.tree, node, one.builtin)
                if isinstance(node, ast.Assign) and name in _assigned(node):
                    return _find(one, ast.unparse(node.value).split("."))
        return None


def declared_class(name: str, file: Plugin | None) -> tuple[Declared, str]:
    """Return the class of a method and the docstring of its text; `file` is None if built in.

    Raises OSError if there is no such method.
    """
    tree = ast.parse(source(file)) if file else _builtin(name)
    found = _class(tree.body, tree, class_name(name))
    assert found is not None  # as `read_plugin` has seen
    return found, ast.get_docstring(tree) or name


@cache
def _builtin(stem: str) -> ast.Module:
    return ast.parse((METHODS / f"{stem}.py").read_text(encoding="utf-8"))


def _class(
    body: Iterable[ast.stmt], tree: ast.Module, name: str, builtin: str = ""
) -> Declared | None:
    """Return the last class of that name among the statements of a text."""
    nodes = [node for node in body if isinstance(node, ast.ClassDef) and node.name == name]
    return Declared(tree, nodes[-1], builtin) if nodes else None


def _find(user: Declared, path: list[str]) -> Declared | None:
    """Return the class that a dotted name refers to in the text of `user`."""
    above = [node for node in user.tree.body if (node.end_lineno or 0) < user.node.lineno]
    found = _class(above, user.tree, path[0], user.builtin)
    if found is None:
        full = [*_imports(user.tree).get(path[0], path[:1]), *path[1:]]
        if full[:2] != ["stillhouse", "methods"] or not (METHODS / f"{full[2]}.py").is_file():
            return None
        stem, path = full[2], full[3:]
        found = _class(_builtin(stem).body, _builtin(stem), path[0], stem) if path else None
    for name in path[1:]:
        found = found.inner(name) if found else None
    return found


def _imports(tree: ast.Module) -> dict[str, list[str]]:
    """Return the names that a text imports at its top level, with their full paths."""
    found: dict[str, list[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {a.asname: a.name.split(".") for a in node.names if a.asname}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            home = node.module.split(".")
            found |= {alias.asname or alias.name: [*home, alias.name] for alias in node.names}
    return found


def _read(path: Path) -> bytes:
    hint = "paths are relative to the round file"
    try:
        if path.exists() and not path.is_file():  # a pipe blocks, a device never ends
            raise ConfigError(f"cannot read {path}: not a plain file", hint)
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"cannot read {path}: {reason}", hint) from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{path} is too large", f"expected at most {MAX_BYTES:,} bytes")
    return content


def _defined(tree: ast.Module) -> set[str]:
    """Return the kinds that a file defines at its top level; imports are ignored."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        found |= _assigned(node)
    return found


def _assigned(node: ast.stmt) -> set[str]:
    """Return the names that a statement assigns: `{"SPEC"}` of `SPEC = ...`."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}
