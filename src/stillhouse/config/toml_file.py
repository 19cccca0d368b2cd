"""Strict TOML loading: bounded size, nesting and numbers, and a line for every field."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stillhouse.config.yaml_file import Source
from stillhouse.errors import ConfigError
from stillhouse.fields import Where

MAX_BYTES = 100_000
MAX_DEPTH = 32
TOO_DEEP = f"nested deeper than {MAX_DEPTH}"
LONG_KEY = re.compile(r"[\s\[]*(?:[\w-]+\s*\.\s*){1000}")
TOO_LARGE = "a whole number of more than 64 bits"


def read_toml(path: Path) -> Source:
    """Read one TOML file. Raises ConfigError with file and line if it is invalid."""
    if path.exists() and not path.is_file():
        raise ConfigError(f"cannot read {path}: not a plain file", "give the path of a TOML file")
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise ConfigError(f"{path} is too large", f"expected at most {MAX_BYTES:,} bytes")
        text = raw.decode("utf-8").replace("\r\n", "\n")
        _refuse_long_keys(path, text)
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: not readable as TOML ({error})") from error
    except (ValueError, RecursionError):  # a number or a nesting that Python rejects
        raise _unusable(path, text) from None
    source = Source(path, data, _lines(text))
    for where, value in _values(data):
        what = TOO_DEEP if len(where) > MAX_DEPTH else ""
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            what = TOO_LARGE
        if what:
            raise ConfigError(f"{path}:{source.line(where)}: {what}", "write a plain value")
    return source


def _refuse_long_keys(path: Path, text: str) -> None:
    """Raise ConfigError for a key of very many parts: tomllib's time grows with their square."""
    for number, line in enumerate(text.split("\n"), start=1):
        if LONG_KEY.match(line):
            raise ConfigError(f"{path}:{number}: {TOO_DEEP}", "write a plain value")


def _unusable(path: Path, text: str) -> ConfigError:
    """Return the error for the first statement that cannot be read alone."""
    line = 1
    try:
        for first, after, _ in _statements(text):
            line = after or first
    except RecursionError:
        return ConfigError(f"{path}:{line}: {TOO_DEEP}", "write a plain value")
    except ValueError:
        return ConfigError(f"{path}:{line}: {TOO_LARGE}", "write a plain value")
    return ConfigError(f"{path}:{line}: {TOO_DEEP}", "write a plain value")


def _statements(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield each statement of a TOML text: its first line, the line after it, and its text."""
    first, lines = 1, []
    for number, line in enumerate(text.split("\n"), start=1):
        lines.append(line)
        statement = "\n".join(lines)
        try:
            tomllib.loads(statement)
        except tomllib.TOMLDecodeError:
            continue  # continued on the next line
        yield first, number + 1, statement
        first, lines = number + 1, []


def _lines(text: str) -> dict[Where, int]:
    """Return the line of every key and list item."""
    found: dict[Where, int] = {}
    tables: dict[Where, int] = {}
    table: Where = ()
    for line, _, statement in _statements(text):
        data = tomllib.loads(statement)
        if statement.lstrip().startswith("["):
            table, inner = (), data
            while inner and len(table) <= MAX_DEPTH:
                (key, inner), *_ = inner.items()
                table = (*table, key)
                found.setdefault(table, line)
                if isinstance(inner, list):  # [[key]] starts another item
                    tables[table] = tables.get(table, -1) + 1
                    inner = inner[0]
                if table in tables:
                    table = (*table, tables[table])
                    found.setdefault(table, line)
        else:
            for where, _value in _values(data, table):
                found.setdefault(where, line)
    return found


def _values(data: Any, where: Where = ()) -> Iterator[tuple[Where, Any]]:
    """Yield every nested value with its place, down to one level below `MAX_DEPTH`."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        yield (*where, key), value
        if isinstance(value, dict | list) and len(where) < MAX_DEPTH:
            yield from _values(value, (*where, key))
