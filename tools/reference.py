"""The reference of the commands and of the round file, generated from the code."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import Any

import typer.main

from field_texts import HELP, UNWRITTEN
from stillhouse.cli.main import VERBS, app
from stillhouse.config.schema import Round, Strict

MARK = "<!-- fields {name} -->"
END = "<!-- /fields -->"


def commands() -> str:
    """Return docs/commands.md: every command with its arguments and options."""
    parts = [
        "# Every command",
        "This page is written from the commands themselves (`make docs`). What they have in\n"
        "common is in [command-line.md](command-line.md).",
    ]
    top = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for panel, verbs in VERBS.items():
        parts.append(f"## {panel}")
        for verb in verbs:
            parts += _command(top[verb], verb)
    return "\n\n".join(parts) + "\n"


def _command(command: Any, name: str) -> list[str]:
    if below := getattr(command, "commands", None):
        return [part for one, sub in below.items() for part in _command(sub, f"{name} {one}")]
    arguments = [one for one in command.params if not one.opts[0].startswith("-")]
    options = [one for one in command.params if one not in arguments and not one.hidden]
    usage = " ".join(["stillhouse", name, *(one.metavar for one in arguments)])
    text = re.sub(r"Example: (.+)", r"Example: `\1`", command.help or "")
    lines = ["| | default | meaning |", "|---|---|---|"]
    lines += [f"| `{one.metavar}` | | {_cell(one.help)} |" for one in arguments]
    lines += [f"| `{_option(one)}` | {_default(one)} | {_cell(one.help)} |" for one in options]
    return [f"### {name}", f"`{usage}`", text, "\n".join(lines)]


def _option(option: Any) -> str:
    names = ", ".join(option.opts)
    kind = option.type_descriptor.annotation
    if option.is_flag:
        return names
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"{names} {'/'.join(one.value for one in kind)}"
    kinds = {int: "NUMBER", float: "NUMBER", Path: "PATH"}
    return f"{names} {option.metavar or kinds.get(kind, 'TEXT')}"


def _default(option: Any) -> str:
    value = getattr(option.default, "value", option.default)
    told = option.is_flag or value is None or "default" in (option.help or "")
    return "" if told or not str(value) else f"`{value}`"


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


def fields(text: str) -> str:
    """Return a page with the tables of fields between its marks written anew."""
    for model in HELP:
        mark = MARK.format(name=model.__name__)
        before, found, rest = text.partition(mark)
        assert found, f"the page has no place {mark}"
        _, _, after = rest.partition(END)
        text = f"{before}{mark}\n\n{_fields(model)}\n\n{END}{after}"
    return text


def _fields(model: type[Strict]) -> str:
    defaults, schema = model is not Round, model.model_json_schema()
    head = "| field | values | default | meaning |" if defaults else "| field | meaning |"
    lines = [head, re.sub(r"[^|]+", "---", head)]
    for name, field in model.model_fields.items():
        if (model, name) in UNWRITTEN:
            continue
        cells = [f"`{name}`"]
        if defaults:
            kind = values(schema["properties"][name], schema.get("$defs", {}))
            cells += [kind, "" if field.is_required() else _written(field.default)]
        lines.append(f"| {' | '.join([*cells, HELP[model][name]])} |")
    return "\n".join(lines)


def values(schema: dict[str, Any], defs: dict[str, Any]) -> str:
    """Return in words which values a JSON schema of a field takes."""
    if options := schema.get("anyOf"):
        kinds = [values(one, defs) for one in options if one.get("type") != "null"]
        return " or ".join(kinds)
    if names := schema.get("enum"):
        return ", ".join(f"`{name}`" for name in names)
    kind = schema.get("type", "")
    if kind == "array":
        items = schema.get("items") or schema["prefixItems"][0]
        count = f"{len(schema['prefixItems'])} values" if "prefixItems" in schema else "a list"
        return f"{count}: {values(items, defs)}"
    if kind in ("integer", "number"):
        return {"integer": "whole number", "number": "number"}[kind] + _bounds(schema)
    return str({"boolean": "true, false", "string": "text", "object": "a mapping"}.get(kind, kind))


def _bounds(schema: dict[str, Any]) -> str:
    """Return the ends of a range that a user could reach."""
    texts = {
        "minimum": "from {:g}", "exclusiveMinimum": "above {:g}",
        "maximum": "to {:g}", "exclusiveMaximum": "below {:g}",
    }  # fmt: skip
    ends = [text.format(schema[k]) for k, text in texts.items() if abs(schema.get(k, 1e9)) < 1e6]
    return f" {', '.join(ends)}" if ends else ""


def _written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | dict):
        return "[" + ", ".join(map(str, value)) + "]" if isinstance(value, tuple) else "{}"
    return f"{value:g}" if isinstance(value, float) else str(value)
