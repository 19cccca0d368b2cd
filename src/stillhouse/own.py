"""A user's own method, model or dataset: one file of Python, named in the round file.

The file's stem is its name wherever a name stands. What it holds is recognised from its text,
without running it: a method `own_kd.py` defines a class `OwnKd`, a model `build`, a dataset
`SPEC` and `load`. A file is known by the hash of its bytes; other bytes are another file.
"""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Literal

from stillhouse.errors import ConfigError, RunError, StillhouseError

Kind = Literal["method", "model", "dataset"]
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
MAX_BYTES = 1_000_000
SHOWN_DIGITS = 8
MODULE_DIGITS = 16


@dataclass(frozen=True)
class OwnFile:
    """A file of the user's as it was read: where (absolute), its SHA-256, what it defines."""

    path: Path
    sha256: str
    kind: Kind

    @property
    def name(self) -> str:
        """What a round file and every table call it: the file's stem."""
        return self.path.stem

    def __str__(self) -> str:
        return f"{self.path.name} ({self.sha256[:SHOWN_DIGITS]})"


Files = tuple[OwnFile, ...]


def own_file(path: Path) -> OwnFile:
    """Look at a file without running it.

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
    return OwnFile(Path(os.path.abspath(path)), sha256(content).hexdigest(), kinds[0])


def find(kind: Kind, name: str, files: Iterable[OwnFile]) -> OwnFile | None:
    """The file of that kind and name, if it is among `files`."""
    return next((file for file in files if (file.kind, file.name) == (kind, name)), None)


def names(kind: Kind, files: Iterable[OwnFile]) -> list[str]:
    """The names of the files of a kind."""
    return [file.name for file in files if file.kind == kind]


def versioned(kind: Kind, name: str, files: Iterable[OwnFile]) -> str:
    """The name, with the content's hash behind it if it is a file's: a name for caches."""
    file = find(kind, name, files)
    return f"{name}-{file.sha256[:MODULE_DIGITS]}" if file else name


def class_name(name: str) -> str:
    """`attention_transfer` -> `AttentionTransfer`."""
    return "".join(part.capitalize() for part in name.split("_"))


def assigned(node: ast.stmt) -> set[str]:
    """The names that a statement gives a value: `{"SPEC"}` of `SPEC = ...`."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def source(file: OwnFile) -> bytes:
    """The file's bytes. Raises RunError if their hash is another one."""
    content = _read(file.path)
    if (now := sha256(content).hexdigest()) != file.sha256:
        raise RunError(
            f"{file.path} has changed: SHA-256 {now[:SHOWN_DIGITS]}..., "
            f"expected {file.sha256[:SHOWN_DIGITS]}...",
            "restore it, or repeat the command to use it as it is now",
        )
    return content


def load_module(file: OwnFile) -> ModuleType:
    """Run a file, once for each content, and return its module.

    The module is registered under a name that holds the hash, as pydantic and dataclasses need;
    no `import` statement finds it by accident. Raises ConfigError if the file cannot be run.
    """
    name = f"stillhouse_own_{file.name}_{file.sha256[:MODULE_DIGITS]}"
    if name in sys.modules:
        return sys.modules[name]
    code = compile(source(file), str(file.path), "exec")
    module = ModuleType(name)
    module.__file__ = str(file.path)
    sys.modules[name] = module
    try:
        with blame(file, "the file is run by itself: what it imports must be installed"):
            exec(code, module.__dict__)
    except ConfigError:
        del sys.modules[name]
        raise
    return module


@contextmanager
def blame(file: OwnFile, hint: str = "") -> Iterator[None]:
    """Turn an error of the user's code into a ConfigError with the line of the file."""
    try:
        yield
    except StillhouseError:
        raise
    except (Exception, SystemExit) as error:
        where = f"{file.path}:{line_of(file, error) or 1}"
        raise ConfigError(f"{where}: {type(error).__name__}: {error}", hint) from error


def line_of(file: OwnFile, error: BaseException) -> int | None:
    """The line of the file from which an error came, if it came from there."""
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(file.path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


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
    """What a file defines at its top level; an import does not count, its content is elsewhere."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        found |= assigned(node)
    return found
