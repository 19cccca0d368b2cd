"""How every command prints: one table, then the command to type next."""

from __future__ import annotations

import shutil
import sys

import typer

from stillhouse.tables import Format, Table, render

__all__ = ["Format", "show"]


def show(table: Table, format: Format, next_command: str = "") -> None:
    """Print a table to stdout and the suggestion as the last line.

    For csv, latex and json the suggestion goes to stderr, so that piped data stays clean.
    """
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else None
    typer.echo(render(table, format, width, color=terminal), nl=False)
    if next_command:
        typer.echo(f"next: {next_command}", err=format not in (Format.rich, Format.md))
