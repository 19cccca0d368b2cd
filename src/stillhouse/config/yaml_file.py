"""Strict YAML 1.2 loading: no silent duplicate keys, a line for every field.

PyYAML's safe loader only reads the text into nodes; values are made here, so no tag can create an
object. Unlike in YAML 1.1, `no`, `on`, `12:30` and dates stay text, and `1e-3` is a number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from stillhouse.errors import ConfigError
from stillhouse.fields import Problem, Where

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
MAX_NODES = 20_000
TAG = "tag:yaml.org,2002:"
SCALARS = (
    (TAG + "null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    (TAG + "bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    (TAG + "int", r"[-+]?[0-9]+", list("-+0123456789")),
    (TAG + "float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
)


@dataclass(frozen=True)
class Source:
    """A parsed file: its data and, for every key and list item by its path, the line (from 1)."""

    path: Path
    data: dict[str, Any]
    lines: dict[Where, int]

    def line(self, where: Where) -> int:
        """Return the line of a field, or of the nearest enclosing field in the file."""
        while where and where not in self.lines:
            where = where[:-1]
        return self.lines.get(where, 1)

    def error(self, problems: Iterable[Problem]) -> ConfigError:
        """All problems as one error; several are listed in the order of their lines."""
        ordered = sorted(problems, key=lambda problem: self.line(problem.where))
        lines = [
            f"{self.path}:{self.line(p.where)}: " + (f"{p.field}: " if p.field else "") + p.what
            for p in ordered
        ]
        if len(ordered) == 1:
            return ConfigError(lines[0], ordered[0].cure)
        listed = [
            f"  {line}" + (f" ({p.cure})" if p.cure else "")
            for line, p in zip(lines, ordered, strict=True)
        ]
        return ConfigError("\n".join([f"{self.path}: {len(ordered)} problems", *listed]))


class _Loader(yaml.SafeLoader):
    """The safe loader with YAML 1.2 scalars and limited nesting."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem=f"nested deeper than {MAX_DEPTH}", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


for _tag, _pattern, _first in SCALARS:
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^(?:{_pattern})$"), _first)


def read_yaml(path: Path) -> Source:
    """Read one YAML mapping. Raises ConfigError with file and line for anything else."""
    hint = "give the path of a round file (.yaml)"
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would block
        raise ConfigError(f"cannot read {path}: not a plain file", hint)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}", hint) from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path} is too large", f"expected at most {MAX_BYTES:,} bytes")
    try:
        root = yaml.compose(raw.decode("utf-8-sig"), Loader=_Loader)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text", "save the file as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax(path, error) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(root, yaml.MappingNode):
        raise ConfigError(
            f"{path}:1: expected fields such as `round: my-round`",
            "see rounds/digits.yaml for a short example",
        )
    builder = _Builder(path)
    return Source(path, builder.value(root, ()), builder.lines)


def _syntax(path: Path, error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark or error.context_mark
    where = f"{path}:{mark.line + 1}" if mark else str(path)
    return ConfigError(
        f"{where}: not YAML: {error.problem or error.context}",
        "check indentation (spaces, no tabs), colons and quotes around this line",
    )


@dataclass
class _Builder:
    """Turn nodes into plain values and record their lines."""

    path: Path
    lines: dict[Where, int] = field(default_factory=dict)
    count: int = 0
    open: set[int] = field(default_factory=set)

    def value(self, node: yaml.Node, where: Where) -> Any:
        self.count += 1
        if self.count > MAX_NODES:
            raise self.error(node, f"more than {MAX_NODES:,} values once aliases are expanded")
        if id(node) in self.open:
            raise self.error(node, "an alias that contains itself", "write the values out")
        self.open.add(id(node))
        value: Any
        if isinstance(node, yaml.MappingNode):
            value = self.mapping(node, where)
        elif isinstance(node, yaml.SequenceNode):
            value = self.sequence(node, where)
        else:
            value = self.scalar(node)
        self.open.discard(id(node))
        return value

    def mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        self.no_tag(node, "map")
        first: dict[str, int] = {}
        out = {}
        for key_node, value_node in node.value:
            key = key_node.value
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                raise self.error(key_node, "a list or mapping as a key", "a key is a word")
            self.encodable(key_node)
            if key in first:
                raise self.error(
                    key_node,
                    f"'{key}' is given twice, on line {first[key]} and on line {line}",
                    "keep one of the two",
                )
            if key == "<<":
                raise self.error(key_node, "merge key '<<'", "write the fields out")
            first[key] = self.lines[(*where, key)] = line
            out[key] = self.value(value_node, (*where, key))
        return out

    def sequence(self, node: yaml.SequenceNode, where: Where) -> list[Any]:
        self.no_tag(node, "seq")
        for index, item in enumerate(node.value):
            self.lines[(*where, index)] = item.start_mark.line + 1
        return [self.value(item, (*where, index)) for index, item in enumerate(node.value)]

    def scalar(self, node: yaml.Node) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(TAG)
        if kind == "str":
            self.encodable(node)
            return text
        # An explicit tag (`!!int x`) may name a type that the text does not have.
        if not any(tag == node.tag and re.fullmatch(form, text) for tag, form, _ in SCALARS):
            raise self.error(node, f"tag '{node.tag}'", "write plain values, without tags")
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        number = float(text)
        if not math.isfinite(number):
            raise self.error(node, "a number too large", "write a finite number")
        return int(text) if kind == "int" else number

    def encodable(self, node: yaml.Node) -> None:
        # An escape such as "\\ud800" is half a character, which no file or terminal takes.
        if any("\ud800" <= character <= "\udfff" for character in node.value):
            raise self.error(node, "half a character (a surrogate escape)", "write it directly")

    def no_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag != TAG + kind:
            raise self.error(node, f"tag '{node.tag}'", "write plain values, without tags")

    def error(self, node: yaml.Node, what: str, hint: str = "") -> ConfigError:
        return ConfigError(f"{self.path}:{node.start_mark.line + 1}: {what}", hint)
