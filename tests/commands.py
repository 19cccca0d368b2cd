"""The commands of the command line, by the words that name them, and how a test types one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from stillhouse.cli.main import app, main


def call(*words: object, code: int = 0) -> str:
    """What a command prints that ends with `code`."""
    done = CliRunner().invoke(app, list(map(str, words)))
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


def typed(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """The exit code of a command, its errors printed as the program prints them."""
    monkeypatch.setattr(sys, "argv", ["stillhouse", *words])
    with pytest.raises(SystemExit) as exited:
        main()
    return int(exited.value.code or 0)


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that is not hidden, with the words that name it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")
        elif not command.hidden:
            yield f"{before}{name}", command


TREE: Any = get_command(app)
ALL = dict(commands(TREE))
