"""The commands of the command line, by the words that name them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from stillhouse.cli.main import app


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that is not hidden, with the words that name it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        elif not command.hidden:
            yield f"{before}{name}", command


TREE: Any = get_command(app)
ALL = dict(commands(TREE))
