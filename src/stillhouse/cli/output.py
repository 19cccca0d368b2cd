"""How every command prints: tables and lists, then the command to type next."""

from __future__ import annotations

import codecs
import io
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence

from stillhouse.errors import printable_lines
from stillhouse.tables import Format, Listing, Table, render

__all__ = ["Format", "follow", "open_streams", "say", "say_prose", "show"]

ERRORS = "stillhouse.plain"
PIPED = 120
PLAIN = {
    **dict.fromkeys("—–−─━", "-"),
    **dict.fromkeys("╭╮╰╯", "+"),
    **{"×": "x", "±": "+/-", "≥": ">=", "≤": "<=", "→": "->", "Δ": "diff", "…": "...", "│": "|"},
}


def open_streams() -> None:
    """Let stdout and stderr take any text, and discard what is written to a closed one.

    A character that the terminal's encoding lacks is written in plain characters. A closed
    descriptor is opened on the null device, so that no file of ours is given its number.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
            null = open(os.devnull, "w" if number else "r", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, null)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=ERRORS)


def say(text: str, err: bool = False) -> None:
    """Print text of files and other programs without characters that would steer a terminal."""
    _write(printable_lines(text) + "\n", err)


def say_prose(text: str) -> None:
    """Print sentences to stderr; on a terminal lines are broken between words, as it is wide."""
    lines = printable_lines(text).splitlines()
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns
        lines = [part for line in lines for part in _broken(line, width)]
    _write("\n".join(lines) + "\n", err=True)


def _broken(line: str, width: int) -> list[str]:
    """A line in parts of at most `width` characters, indented alike; long words stay whole."""
    indent = line[: len(line) - len(line.lstrip())]
    options = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.wrap(line, width, subsequent_indent=indent, **options) or [""]  # type: ignore[arg-type]


def show(
    shown: Table | Listing | Sequence[Table | Listing], format: Format, next_command: str = ""
) -> None:
    """Print tables or lists to stdout, and the suggestion as the last line.

    On a terminal nothing is wider than it; elsewhere lines have at most 120 characters.
    For csv, latex and json the suggestion goes to stderr, so that piped data stays clean.
    """
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else PIPED
    several = [shown] if isinstance(shown, Table | Listing) else shown
    for number, one in enumerate(several):
        if format is Format.rich:
            one = one.mapped(_encodable)
        text = render(one, format, width, color=terminal and styled(), drop=terminal)
        _write("\n" * bool(number) + text)
    if next_command:
        follow(next_command, format)


def follow(command: str, format: Format = Format.rich) -> None:
    """Print the command to type next, to stderr where stdout is for programs."""
    say(f"next: {command}", err=format not in (Format.rich, Format.md))


def _write(text: str, err: bool = False) -> None:
    stream = sys.stderr if err else sys.stdout
    stream.write(text)
    stream.flush()


def styled() -> bool:
    """Whether the terminal understands bold, and the user wants it (no-color.org)."""
    known = os.environ.get("TERM", "").lower() not in ("", "dumb", "unknown")
    return known and not os.environ.get("NO_COLOR")


def _encodable(text: str) -> str:
    """The text as stdout will show it: columns are measured by it."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, ERRORS).decode(encoding)


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The characters that an encoding lacks, in ones that it has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(PLAIN.get(c, "?") for c in error.object[error.start : error.end]), error.end


codecs.register_error(ERRORS, _plain)
