"""How every command prints: one table, then the command to type next."""

from __future__ import annotations

import shutil
import sys

import typer

from stillhouse.errors import printable_lines
from stillhouse.tables import Format, Table, render

__all__ = ["Format", "say", "show"]


def say(text: str, err: bool = False) -> None:
    """Print text of files and other programs without characters that would steer a terminal."""
    typer.echo(printable_lines(text), err=err)


def show(table: Table, format: Format, next_command: str = "") -> None:
    """Print a table to stdout and the suggestion as the last line.

    For csv, latex and json the suggestion goes to stderr, so that piped data stays clean.
    """
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    typer.echo(render(table, format, width, color=terminal), nl=False)
    if next_command:
        say(f"next: {next_command}", err=format not in (Format.rich, Format.md))
